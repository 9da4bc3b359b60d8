#include "captured_step.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "core/allocator.h"
#include "core/capture.h"
#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::conformance {
namespace {

constexpr int64_t vocabulary = 37, width = 24, heads = 2, batch = 2, length = 9, rows = batch * length;
constexpr int64_t ignored = -100;
constexpr double beta1 = 0.9, beta2 = 0.99, dropped = 0.25;

struct Weight {
  Tensor value, grad, m, v;
};

/** Embedding, attention with rotary positions, dropout, projection, mean loss; clipped AdamW of all weights. */
class Model {
 public:
  explicit Model(Trial& t) : trial_(t) {
    weights_ = {weight({vocabulary, width}), weight({width, 3 * width}), weight({width, vocabulary})};
    settings_ = made(DType::f64, {adamw_settings});
    blocks_ = made(DType::i32, {2});
    ids_ = made(DType::i32, {rows});
    targets_ = made(DType::i32, {rows});
  }

  /** What changes from step to step goes to the device: tokens, rate, corrections, the place in the random stream. */
  void prepare(int step, int32_t first_token) {
    std::vector<int32_t> ids(rows), targets(rows);
    for (int64_t i = 0; i < rows; ++i) {
      ids[static_cast<size_t>(i)] = static_cast<int32_t>((step * 5 + i * i) % vocabulary);
      targets[static_cast<size_t>(i)] = i % 4 == step % 4 ? ignored : static_cast<int32_t>((step * 3 + 2 * i) % vocabulary);
    }
    ids[0] = first_token;
    put(ids_, ids.data());
    put(targets_, targets.data());
    double settings[adamw_settings] = {};
    settings[adamw_lr] = 0.01 / step;
    settings[adamw_beta1] = beta1;
    settings[adamw_beta2] = beta2;
    settings[adamw_eps] = 1e-8;
    settings[adamw_decay] = 0.1;
    settings[adamw_correction1] = 1 - std::pow(beta1, step);
    settings[adamw_correction2] = 1 - std::pow(beta2, step);
    put(settings_, settings);
    const int32_t blocks[2] = {1000 * step, step};
    put(blocks_, blocks);
  }

  /** One step on what was prepared; waits for nothing. */
  Status run() {
    const Weight &table = weights_[0], &qkv = weights_[1], &head = weights_[2];
    const Shape split{batch, length, heads, width / heads};
    Tensor x, dropped_x, projected, q, k, v, q_turned, k_turned, o, lse, logits, losses, row_lse, slope;
    FORGE_TRY(ops::embedding(table.value, ids_, x));
    FORGE_TRY(ops::dropout(x, dropped, 1, 2, 3, 0, &blocks_, dropped_x));
    FORGE_TRY(ops::matmul(dropped_x, qkv.value, false, false, nullptr, 0, projected));
    Tensor parts[3];
    for (int i = 0; i < 3; ++i) FORGE_TRY(ops::slice(projected, 1, i * width, (i + 1) * width, parts[i]));
    q = parts[0].view(0, split);
    k = parts[1].view(0, split);
    v = parts[2].view(0, split);
    FORGE_TRY(ops::rope(q, 0, 10000, {}, 0, false, q_turned));
    FORGE_TRY(ops::rope(k, 0, 10000, {}, 0, false, k_turned));
    const double scale = 1 / std::sqrt(static_cast<double>(width / heads));
    FORGE_TRY(ops::attention(q_turned, k_turned, v, true, 0, scale, -1, false, o, lse));
    const Tensor attended = o.view(0, {rows, width});
    FORGE_TRY(ops::matmul(attended, head.value, false, false, nullptr, 0, logits));
    FORGE_TRY(ops::cross_entropy(logits, targets_, ignored, losses, row_lse));
    FORGE_TRY(ops::target_weight(targets_, ignored, weight_));
    FORGE_TRY(ops::sum(losses, -1, loss_));
    FORGE_TRY(ops::scale_by(loss_, weight_));

    Tensor one, d_logits, none, d_o, dq, dk, dv, d_q, d_k, d_projected, d_dropped, d_x;
    FORGE_TRY(ops::full(DType::f32, {1}, 1, one));
    FORGE_TRY(ops::expand_scalar(one, 1, &weight_, rows, slope));
    FORGE_TRY(ops::cross_entropy_backward(logits, targets_, row_lse, &slope, 1, ignored, false, d_logits));
    FORGE_TRY(ops::matmul(attended, d_logits, true, false, &head.grad, 0, none));
    FORGE_TRY(ops::matmul(d_logits, head.value, false, true, nullptr, 0, d_o));
    FORGE_TRY(ops::attention_backward(d_o.view(0, split), q_turned, k_turned, v, o, lse, true, 0, scale, false, dq, dk, dv));
    FORGE_TRY(ops::rope(dq, 0, 10000, {}, 0, true, d_q));
    FORGE_TRY(ops::rope(dk, 0, 10000, {}, 0, true, d_k));
    const Shape flat{rows, width};
    FORGE_TRY(ops::concat({d_q.view(0, flat), d_k.view(0, flat), dv.view(0, flat)}, 1, d_projected));
    FORGE_TRY(ops::matmul(dropped_x, d_projected, true, false, &qkv.grad, 0, none));
    FORGE_TRY(ops::matmul(d_projected, qkv.value, false, true, nullptr, 0, d_dropped));
    FORGE_TRY(ops::dropout(d_dropped, dropped, 1, 2, 3, 0, &blocks_, d_x));
    FORGE_TRY(ops::scale_in_place(table.grad, 0));
    FORGE_TRY(ops::embedding_backward(d_x, ids_, table.grad));

    TensorList values, grads, ms, vs;
    for (const Weight& weight : weights_) {
      values.push_back(weight.value);
      grads.push_back(weight.grad);
      ms.push_back(weight.m);
      vs.push_back(weight.v);
    }
    FORGE_TRY(ops::clip_scale(grads, 0.5, {loss_}, clip_));
    return ops::adamw_prepared(values, grads, ms, vs, {}, settings_, &clip_, 0, 0, false);
  }

  /** Everything that a step leaves behind. */
  void collect(Trial& t) const {
    t.out(loss_);
    t.out(clip_);
    for (const Weight& weight : weights_) {
      for (const Tensor* x : {&weight.value, &weight.m, &weight.v}) t.out(*x);
    }
  }

  const Tensor& ids() const { return ids_; }
  const Tensor& first_weight() const { return weights_[0].value; }

 private:
  Tensor made(DType dtype, const Shape& shape) {
    Tensor x;
    trial_.check(empty("conformance", dtype, shape, x));
    return x;
  }
  static void put(const Tensor& x, const void* data) { copy_in(x.data(), data, x.bytes()); }
  Weight weight(const Shape& shape) {
    const std::vector<float> zeros(static_cast<size_t>(shape.count()));
    return {trial_.normal(shape, 0.3), trial_.floats(shape, zeros), trial_.floats(shape, zeros), trial_.floats(shape, zeros)};
  }

  Trial& trial_;
  std::vector<Weight> weights_;
  Tensor settings_, blocks_, ids_, targets_, weight_, loss_, clip_;
};

/** Other work of the same thread: takes and fills memory, whose blocks must not be those of a captured step. */
void disturb(Trial& t) {
  for (const int64_t n : {1, 24, 37, 432, 888, 1296, 666}) {
    Tensor x, y;
    t.check(ops::full(DType::f32, {n}, NAN, x));
    t.check(ops::add_scalar(x, 1, y));
  }
}

using Fail = std::function<void(const std::string&)>;

/** Plain steps beside replayed ones, from the same weights. */
void compare_steps(const Fail& fail) {
  constexpr int warm = 2, steps = 7;
  Trial plain_trial, captured_trial;
  Model plain(plain_trial), captured(captured_trial);
  std::unique_ptr<CapturedStep> recorded;
  const int64_t live = Allocator::instance().stats().live_bytes;
  for (int step = 1; step <= steps; ++step) {
    plain.prepare(step, step);
    plain_trial.check(plain.run());
    captured.prepare(step, step);
    if (step <= warm) {
      captured_trial.check(captured.run());
    } else {
      if (recorded == nullptr) {
        captured_trial.check(begin_capture());
        captured_trial.check(captured.run());
        captured_trial.check(end_capture(recorded));
      }
      disturb(captured_trial);
      if (recorded != nullptr) captured_trial.check(recorded->replay());
    }
    disturb(plain_trial);
    plain.collect(plain_trial);
    captured.collect(captured_trial);
    for (Trial* trial : {&plain_trial, &captured_trial}) trial->check(backend_status());
  }
  for (const Trial* trial : {&plain_trial, &captured_trial}) {
    if (!trial->status().ok()) return fail(trial->status().message());
  }
  const size_t each = plain_trial.outputs().size() / steps;
  for (size_t i = 0; i < plain_trial.outputs().size(); ++i) {
    if (plain_trial.outputs()[i].data == captured_trial.outputs()[i].data) continue;
    return fail("step " + std::to_string(i / each + 1) + ": result " + std::to_string(i % each) + " differs from the plain step's");
  }
  // A bad token: the replay reports it as the op would, and leaves all weights alone.
  Trial before, after;
  before.out(captured.first_weight());
  captured.prepare(steps + 1, vocabulary + 4);
  captured_trial.check(recorded->replay());
  after.out(captured.first_weight());
  const Status status = backend_status();
  const char* const wanted = "embedding: index 41 at position 0, needs 0 to 36";
  if (status.code() != Code::argument || status.message() != wanted) fail("a bad index gave: " + status.message());
  if (before.outputs()[0].data != after.outputs()[0].data) fail("a bad index changed the weights");
  recorded.reset();
  if (Allocator::instance().stats().live_bytes > live + (1 << 20)) fail("a forgotten step keeps its memory");
}

/** What waits or moves elements is refused, by the name of the op that the caller gives. */
void check_refusals(const Fail& fail) {
  Trial t;
  const Tensor x = t.normal({5});
  std::vector<float> host(5, 1);
  double total = 0;
  const auto refused = [&](const char* what, const char* words) {
    const Status status = backend_status(what);
    if (status.code() != Code::unsupported || status.message() != std::string(what) + ": cannot be part of a captured step: " + words) {
      fail(std::string(what) + " was not refused: " + status.message());
    }
  };
  t.check(begin_capture());
  t.check(ops::sum_squares({x}, total));
  refused("sumSquares", "it waits for elements from the device");
  copy_in(x.data(), host.data(), x.bytes());
  refused("write", "it moves elements from the host to the device");
  if (begin_capture().code() != Code::argument) fail("a step was captured within another");
  abort_capture();
  std::unique_ptr<CapturedStep> none;
  if (end_capture(none).code() != Code::argument) fail("nothing was captured, and it ended");
  t.check(ops::sum_squares({x}, total));
  t.check(backend_status());
  if (!t.status().ok()) fail("after a refusal: " + t.status().message());
}

}  // namespace

Result check_captured_step(const Backend& device) {
  Result result{"(captured step)", {0, "the same launches"}, 2, 0, 0, {}};
  const Fail fail = [&](const std::string& what) { result.failures.push_back(what); };
  select_backend(device);
  if (can_capture()) {
    compare_steps(fail);
    check_refusals(fail);
  } else {
    fail("the device records no steps");
  }
  select_backend(cpu_backend());
  return result;
}

}  // namespace forge::conformance
