#include <cstdio>

#include "bench.h"
#include "ops/ops.h"

/**
 * One optimizer step of the preset pico (PRESETS of packages/model: width 256, 3 layers, 4 query and 2 key heads, hidden
 * 512, vocabulary 1024, the head is the embedding) on 16 × 128 tokens, op by op as packages/tensor calls them.
 */
namespace forge::bench {
namespace {

constexpr int64_t batch = 16, time = 128, width = 256, hidden = 512, vocabulary = 1024, layers = 3, heads = 4,
                  kv_heads = 2, head_dim = 64, rows = batch * time;

struct Parameter {
  Tensor value, gradient, m, v;
  explicit Parameter(const Shape& shape) {
    value = random_tensor(shape, 7);
    require(ops::scale_in_place(value, 0.03));
    require(ops::full(DType::f32, shape, 0, gradient));
    require(ops::full(DType::f32, shape, 0, m));
    require(ops::full(DType::f32, shape, 0, v));
  }
};

struct Layer {
  Parameter norm1{{width}}, q{{width, width}}, k{{kv_heads * head_dim, width}}, v{{kv_heads * head_dim, width}},
      o{{width, width}}, norm2{{width}}, gate{{hidden, width}}, up{{hidden, width}}, down{{width, hidden}};
  // Saved by forward.
  Tensor x, h1, rstd1, qr, kr, vs, att, lse, x2, h2, rstd2, g, u, act;
  std::vector<Parameter*> parameters() { return {&norm1, &q, &k, &v, &o, &norm2, &gate, &up, &down}; }
};

struct Model {
  Parameter embedding{{vocabulary, width}}, norm{{width}};
  std::vector<Layer> layer = std::vector<Layer>(layers);
};

Tensor linear(const Tensor& x, const Parameter& w) {
  Tensor y;
  require(ops::matmul(x, w.value, false, true, nullptr, 0, y));
  return y;
}

/** dw += dyᵀ x, and dx = dy w, added to `into` when given. */
Tensor linear_backward(const Tensor& dy, const Tensor& x, Parameter& w, const Tensor* into) {
  Tensor ignored, dx;
  require(ops::matmul(dy, x, true, false, &w.gradient, 1, ignored));
  require(ops::matmul(dy, w.value, false, false, into, 1, dx));
  return dx;
}

Tensor rotated(const Tensor& x, int64_t count, bool inverse) {
  Tensor y;
  require(ops::rope(x.view(0, {batch, time, count, head_dim}), 0, 10000, {}, 0, inverse, y));
  return y;
}

Tensor forward(Layer& l, const Tensor& x) {
  l.x = x;
  require(ops::rms_norm(x, l.norm1.value, 1e-5, l.h1, l.rstd1));
  l.qr = rotated(linear(l.h1, l.q), heads, false);
  l.kr = rotated(linear(l.h1, l.k), kv_heads, false);
  l.vs = linear(l.h1, l.v).view(0, {batch, time, kv_heads, head_dim});
  require(ops::attention(l.qr, l.kr, l.vs, true, 0, 0.125, -1, false, l.att, l.lse));
  require(ops::add(x, linear(l.att.view(0, {rows, width}), l.o), l.x2));
  require(ops::rms_norm(l.x2, l.norm2.value, 1e-5, l.h2, l.rstd2));
  l.g = linear(l.h2, l.gate);
  l.u = linear(l.h2, l.up);
  require(ops::swiglu(l.g, l.u, l.act));
  Tensor y;
  require(ops::add(l.x2, linear(l.act, l.down), y));
  return y;
}

Tensor backward(Layer& l, const Tensor& dy) {
  Tensor dg, du, dx2, dq, dk, dv, dx;
  const Tensor d_act = linear_backward(dy, l.act, l.down, nullptr);
  require(ops::swiglu_backward(d_act, l.g, l.u, dg, du));
  Tensor dh = linear_backward(dg, l.h2, l.gate, nullptr);
  linear_backward(du, l.h2, l.up, &dh);
  require(ops::rms_norm_backward(dh, l.x2, l.norm2.value, l.rstd2, &l.norm2.gradient, dx2));
  require(ops::axpy(dx2, 1, dy));
  const Tensor d_att = linear_backward(dx2, l.att.view(0, {rows, width}), l.o, nullptr);
  require(ops::attention_backward(d_att.view(0, {batch, time, heads, head_dim}), l.qr, l.kr, l.vs, l.att, l.lse, true, 0,
                                  0.125, false, dq, dk, dv));
  dh = linear_backward(rotated(dq, heads, true).view(0, {rows, width}), l.h1, l.q, nullptr);
  linear_backward(rotated(dk, kv_heads, true).view(0, {rows, kv_heads * head_dim}), l.h1, l.k, &dh);
  linear_backward(dv.view(0, {rows, kv_heads * head_dim}), l.h1, l.v, &dh);
  require(ops::rms_norm_backward(dh, l.x, l.norm1.value, l.rstd1, &l.norm1.gradient, dx));
  require(ops::axpy(dx, 1, dx2));
  return dx;
}

void step(Model& model, const Tensor& ids, const Tensor& targets, int64_t number) {
  Tensor x, h, rstd, loss, lse, d_logits, dx;
  require(ops::embedding(model.embedding.value, ids, x));
  for (Layer& l : model.layer) x = forward(l, x);
  require(ops::rms_norm(x, model.norm.value, 1e-5, h, rstd));
  const Tensor logits = linear(h, model.embedding);
  require(ops::cross_entropy(logits, targets, -1, loss, lse));
  require(ops::cross_entropy_backward(logits, targets, lse, nullptr, 1.0 / rows, -1, true, d_logits));
  const Tensor dh = linear_backward(d_logits, h, model.embedding, nullptr);
  require(ops::rms_norm_backward(dh, x, model.norm.value, rstd, &model.norm.gradient, dx));
  for (int64_t i = layers - 1; i >= 0; --i) dx = backward(model.layer[static_cast<size_t>(i)], dx);
  require(ops::embedding_backward(dx, ids, model.embedding.gradient));

  std::vector<Parameter*> parameters{&model.embedding, &model.norm};
  for (Layer& l : model.layer) {
    for (Parameter* p : l.parameters()) parameters.push_back(p);
  }
  TensorList gradients;
  for (const Parameter* p : parameters) gradients.push_back(p->gradient);
  double squares = 0;
  require(ops::sum_squares(gradients, squares));
  for (const Parameter* p : parameters) {
    require(ops::adamw(p->value, p->gradient, p->m, p->v, 1e-3, 0.9, 0.95, 1e-8, 0.1, number, 1));
    require(ops::scale_in_place(p->gradient, 0));
  }
}

}  // namespace

void bench_training_step() {
  Model model;
  Tensor ids, targets;
  require(empty("bench", DType::i32, {rows}, ids));
  require(empty("bench", DType::i32, {rows}, targets));
  for (int64_t i = 0; i < rows; ++i) {
    ids.i32()[i] = static_cast<int32_t>(i * 7919 % vocabulary);
    targets.i32()[i] = static_cast<int32_t>(i * 104729 % vocabulary);
  }
  int64_t number = 0;
  const double per_layer = 2.0 * width * width + 2.0 * width * kv_heads * head_dim + 3.0 * width * hidden;
  const double flop = 6.0 * rows * (layers * per_layer + width * vocabulary);
  record_against_peak("training step, dense products", "pico 16x128", flop, [&] { step(model, ids, targets, ++number); });
}

}  // namespace forge::bench
