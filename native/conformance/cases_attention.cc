#include <cmath>

#include "cases.h"
#include "ops/ops.h"

/** Attention: groups of heads, windows, and lengths that the tiles do not divide. */
namespace forge::conformance {
namespace {

struct Heads {
  int64_t batch, queries, keys, q_heads, kv_heads, dim;
  bool causal;
  int64_t window;
  /** −1: as many as there are keys. */
  int64_t kv_length;
  double scale_of_operands;

  Shape of_q() const { return {batch, queries, q_heads, dim}; }
  Shape of_k() const { return {batch, keys, kv_heads, dim}; }
  std::string text() const {
    return "q " + of_q().text() + " k " + of_k().text() + (causal ? " causal" : "") +
           (window > 0 ? " window " + std::to_string(window) : "") +
           (kv_length >= 0 ? " of which " + std::to_string(kv_length) : "");
  }
};

/** Where operands may be rounded: they are bf16 here, so that what is rounded is between the products only. */
void rounded_cases(List& list) {
  const Heads sizes[] = {
      {2, 64, 64, 4, 2, 32, true, 0, -1, 1},   {1, 65, 97, 2, 2, 20, false, 0, -1, 1},
      {1, 130, 130, 2, 1, 64, true, 0, -1, 1}, {1, 5, 100, 3, 1, 7, true, 0, -1, 1},
      {1, 150, 150, 1, 1, 8, true, 34, -1, 1}, {2, 1, 70, 4, 2, 33, true, 0, 41, 1},
      {1, 3, 50, 2, 1, 128, true, 10, -1, 1},  {1, 70, 90, 4, 2, 100, false, 0, -1, 1},
      {1, 9, 4, 2, 1, 8, true, 0, -1, 1},      {1, 70, 3, 2, 1, 8, true, 2, -1, 1},
      {1, 6, 0, 1, 1, 4, false, 0, -1, 1},     {0, 3, 3, 1, 1, 4, true, 0, -1, 1},
      {1, 33, 40, 1, 1, 160, true, 0, -1, 1},  {1, 40, 90, 1, 1, 16, false, 0, -1, 30},
  };
  for (const Heads& h : sizes) {
    const Shape qs = h.of_q(), ks = h.of_k();
    const double scale = 1 / std::sqrt(static_cast<double>(h.dim));
    const std::string size = "rounded, " + h.text();
    list.add("attention", attended_in_bf16, size, [=](Trial& t) {
      const Tensor q = t.short_normal(qs, h.scale_of_operands), k = t.short_normal(ks), v = t.short_normal(ks);
      Tensor o, lse;
      t.check(ops::attention(q, k, v, h.causal, h.window, scale, h.kv_length, true, o, lse));
      t.out(o);
      t.out(lse);
    });
    if (h.kv_length >= 0) continue;
    list.add("attentionBackward", gradient_in_bf16, size, [=](Trial& t) {
      const Tensor q = t.short_normal(qs, h.scale_of_operands), k = t.short_normal(ks), v = t.short_normal(ks);
      const Tensor d_o = t.short_normal(qs);
      Tensor o, lse, dq, dk, dv;
      t.check(ops::attention(q, k, v, h.causal, h.window, scale, -1, true, o, lse));
      if (!t.status().ok()) return;
      t.check(ops::attention_backward(d_o, q, k, v, o, lse, h.causal, h.window, scale, true, dq, dk, dv));
      t.out(dq);
      t.out(dk);
      t.out(dv);
    });
  }
  // Most of dP and delta cancels here, if both are of the same rounded d_o; else dq is off by 0.09.
  list.add("attentionBackward", gradient_in_bf16, "rounded, keys about 3, values about 10", [](Trial& t) {
    const Shape shape{1, 128, 1, 64};
    const Tensor q = t.short_normal(shape), k = t.short_normal(shape, 1, 3), v = t.short_normal(shape, 1, 10);
    const Tensor d_o = t.normal(shape, 20);
    Tensor o, lse, dq, dk, dv;
    t.check(ops::attention(q, k, v, true, 0, 0.125, -1, true, o, lse));
    if (!t.status().ok()) return;
    t.check(ops::attention_backward(d_o, q, k, v, o, lse, true, 0, 0.125, true, dq, dk, dv));
    t.out(dq);
    t.out(dk);
    t.out(dv);
  });
  list.add("attention", attended_in_bf16, "rounded, an infinite key", [](Trial& t) {
    const Tensor q = t.floats({1, 2, 1, 2}, {1, 1, 1, 1}), k = t.floats({1, 2, 1, 2}, {-INFINITY, 1, 1, 1});
    const Tensor v = t.floats({1, 2, 1, 2}, {1, 2, 3, 4});
    Tensor o, lse;
    t.check(ops::attention(q, k, v, true, 0, 1, -1, true, o, lse));
    t.out(o);
    t.out(lse);
  });
}

}  // namespace

void attention_cases(List& list) {
  const Heads sizes[] = {
      {2, 32, 32, 4, 2, 16, true, 0, -1, 1},   {1, 33, 65, 2, 2, 20, false, 0, -1, 1},
      {1, 70, 70, 2, 1, 64, true, 0, -1, 1},   {1, 5, 100, 3, 1, 7, true, 0, -1, 1},
      {1, 100, 100, 1, 1, 8, true, 34, -1, 1}, {2, 1, 70, 4, 2, 33, true, 0, 41, 1},
      {1, 3, 50, 2, 1, 128, true, 10, -1, 1},  {1, 40, 40, 1, 1, 130, true, 0, -1, 1},
      {1, 35, 40, 2, 1, 256, false, 0, -1, 1}, {1, 9, 4, 2, 1, 8, true, 0, -1, 1},
      {1, 70, 3, 2, 1, 8, true, 2, -1, 1},     {1, 6, 0, 1, 1, 4, false, 0, -1, 1},
      {0, 3, 3, 1, 1, 4, true, 0, -1, 1},      {1, 40, 90, 1, 1, 16, false, 0, -1, 30},
  };
  for (const Heads& h : sizes) {
    const Shape qs = h.of_q(), ks = h.of_k();
    const double scale = 1 / std::sqrt(static_cast<double>(h.dim));
    const std::string size = h.text();
    // Scores up to 10⁴ lose 10⁻³ in the exponent.
    const Tolerance forward = h.scale_of_operands > 1 ? Tolerance{2e-2, attended.reason} : attended;
    list.add("attention", forward, size, [=](Trial& t) {
      const Tensor q = t.normal(qs, h.scale_of_operands), k = t.normal(ks, h.scale_of_operands), v = t.normal(ks);
      Tensor o, lse;
      t.check(ops::attention(q, k, v, h.causal, h.window, scale, h.kv_length, false, o, lse));
      t.out(o);
      t.out(lse);
    });
    if (h.kv_length >= 0 || h.scale_of_operands > 1) continue;
    list.add("attentionBackward", gradient, size, [=](Trial& t) {
      const Tensor q = t.normal(qs), k = t.normal(ks), v = t.normal(ks), d_o = t.normal(qs);
      Tensor o, lse, dq, dk, dv;
      t.check(ops::attention(q, k, v, h.causal, h.window, scale, -1, false, o, lse));
      if (!t.status().ok()) return;
      t.check(ops::attention_backward(d_o, q, k, v, o, lse, h.causal, h.window, scale, false, dq, dk, dv));
      t.out(dq);
      t.out(dk);
      t.out(dv);
    });
  }
  rounded_cases(list);
}

}  // namespace forge::conformance
