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
};

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
    const Shape qs{h.batch, h.queries, h.q_heads, h.dim}, ks{h.batch, h.keys, h.kv_heads, h.dim};
    const double scale = 1 / std::sqrt(static_cast<double>(h.dim));
    const std::string size = "q " + qs.text() + " k " + ks.text() + (h.causal ? " causal" : "") +
                             (h.window > 0 ? " window " + std::to_string(h.window) : "") +
                             (h.kv_length >= 0 ? " of which " + std::to_string(h.kv_length) : "");
    // Scores up to 10⁴ lose 10⁻³ in the exponent.
    const Tolerance forward = h.scale_of_operands > 1 ? Tolerance{2e-2, attended.reason} : attended;
    list.add("attention", forward, size, [=](Trial& t) {
      const Tensor q = t.normal(qs, h.scale_of_operands), k = t.normal(ks, h.scale_of_operands), v = t.normal(ks);
      Tensor o, lse;
      t.check(ops::attention(q, k, v, h.causal, h.window, scale, h.kv_length, o, lse));
      t.out(o);
      t.out(lse);
    });
    if (h.kv_length >= 0 || h.scale_of_operands > 1) continue;
    list.add("attentionBackward", gradient, size, [=](Trial& t) {
      const Tensor q = t.normal(qs), k = t.normal(ks), v = t.normal(ks), d_o = t.normal(qs);
      Tensor o, lse, dq, dk, dv;
      t.check(ops::attention(q, k, v, h.causal, h.window, scale, -1, o, lse));
      if (!t.status().ok()) return;
      t.check(ops::attention_backward(d_o, q, k, v, o, lse, h.causal, h.window, scale, dq, dk, dv));
      t.out(dq);
      t.out(dk);
      t.out(dv);
    });
  }
}

}  // namespace forge::conformance
