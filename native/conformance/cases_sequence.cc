#include <algorithm>
#include <cmath>

#include "cases.h"
#include "ops/ops.h"

/** Epilogues, divergences, choices, recurrences and masks. */
namespace forge::conformance {
namespace {

void epilogues(List& list) {
  for (int64_t activation = 0; activation <= static_cast<int64_t>(Activation::tanh); ++activation) {
    for (const Shape& shape : {Shape{16, 64}, Shape{3, 5, 33}, Shape{0, 8}}) {
      list.add("biasActivationInPlace", elementary, shape.text() + " activation " + std::to_string(activation),
               [=](Trial& t) {
                 const Tensor y = t.normal(shape, 3), bias = t.normal({shape.last()});
                 t.check(ops::bias_activation(y, &bias, activation));
                 t.out(y);
                 t.check(ops::bias_activation(y, nullptr, activation));
                 t.out(y);
               });
    }
  }
}

void divergences(List& list) {
  for (const Shape& shape : {Shape{16, 64}, Shape{70, 33}, Shape{3, 1300}, Shape{5, 1}, Shape{0, 8}}) {
    list.add("klDivergence", normalised, shape.text(), [=](Trial& t) {
      const Tensor targets = t.normal(shape, 3), logits = t.normal(shape, 3);
      Tensor loss, lse_t, lse_z;
      t.check(ops::kl_divergence(targets, logits, loss, lse_t, lse_z));
      for (const Tensor* x : {&loss, &lse_t, &lse_z}) t.out(*x);
    });
    list.add("klDivergenceBackward", normalised, shape.text(), [=](Trial& t) {
      const Shape rows{shape[0]};
      const Tensor targets = t.normal(shape), logits = t.normal(shape), d_loss = t.normal(rows);
      const Tensor loss = t.uniform(rows, 0, 2), lse_t = t.uniform(rows, 2, 4), lse_z = t.uniform(rows, 2, 4);
      for (const Tensor* slope : {&d_loss, static_cast<const Tensor*>(nullptr)}) {
        Tensor d_targets, d_logits;
        t.check(ops::kl_divergence_backward(targets, logits, loss, lse_t, lse_z, slope, 0.25, d_targets, d_logits));
        t.out(d_targets);
        t.out(d_logits);
      }
    });
  }
  list.add("klDivergence", normalised, "targets of -infinity, equal rows", [](Trial& t) {
    Tensor loss, lse_t, lse_z;
    const Tensor targets = t.floats({2, 3}, {-INFINITY, 1, 2, 5, 6, 7}), logits = t.floats({2, 3}, {0, 1, 2, 5, 6, 7});
    t.check(ops::kl_divergence(targets, logits, loss, lse_t, lse_z));
    t.out(loss);
  });
}

void choices(List& list) {
  for (const int64_t n : {1024, 1237, 3, 0}) {
    list.add("dropout", moved, std::to_string(n), [=](Trial& t) {
      for (const double probability : {0.0, 0.1, 0.73}) {
        Tensor y;
        t.check(ops::dropout(t.normal({n}), probability, 1, 2, 0xfffffff0u, 4, nullptr, y));
        t.out(y);
      }
    });
  }
  const auto top = [&](const Shape& shape, int64_t k) {
    list.add("topK", moved, std::to_string(k) + " of " + shape.text(), [=](Trial& t) {
      Tensor values, index;
      t.check(ops::top_k(t.normal(shape), k, values, index));
      t.out(values);
      t.out(index);
    });
  };
  top({5, 1237}, 40);
  top({3, 4, 33}, 33);
  top({2, 1}, 1);
  top({0, 7}, 3);
  list.add("topK", moved, "ties, NaN, infinities", [](Trial& t) {
    Tensor values, index;
    t.check(ops::top_k(t.floats({2, 5}, {1, NAN, 1, NAN, 0, -INFINITY, -INFINITY, INFINITY, 0.0f, -0.0f}), 5, values, index));
    t.out(values);
    t.out(index);
  });
  for (const Shape& shape : {Shape{64, 32}, Shape{7, 1237}, Shape{5, 1}, Shape{2, 3, 300}, Shape{0, 4}}) {
    list.add("categorical", chosen, shape.text(), [=](Trial& t) {
      for (const uint32_t counter : {0u, 100u, 0xffffffffu}) {
        Tensor y;
        t.check(ops::categorical(t.normal(shape, 2), 5, 6, counter, 7, y));
        t.out(y);
      }
    });
  }
  list.add("categorical", chosen, "one possible; none possible", [](Trial& t) {
    Tensor y;
    t.check(ops::categorical(t.floats({2, 3}, {-INFINITY, 2, -INFINITY, 0, -200, -200}), 1, 2, 3, 4, y));
    t.out(y);
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      const Status status = ops::categorical(t.floats({2, 2}, {0, 1, bad, -INFINITY}), 1, 2, 3, 4, y);
      t.out(status.code() == Code::argument && status.message().find("row 1") != std::string::npos ? 1 : 0);
    }
  });
}

void recurrences(List& list) {
  for (const Shape& shape : {Shape{2, 40, 33}, Shape{1, 1, 5}, Shape{3, 0, 4}, Shape{2, 300, 1}}) {
    for (const bool has_start : {false, true}) {
      const std::string size = shape.text() + (has_start ? " from a state" : "");
      list.add("linearScan", scanned, size, [=](Trial& t) {
        const Tensor a = t.uniform(shape, -1, 1), b = t.normal(shape), h0 = t.normal({shape[0], shape[2]});
        Tensor h;
        t.check(ops::linear_scan(a, b, has_start ? &h0 : nullptr, h));
        t.out(h);
      });
      list.add("linearScanBackward", scanned, size, [=](Trial& t) {
        const Tensor a = t.uniform(shape, -1, 1), h = t.normal(shape), dh = t.normal(shape);
        const Tensor h0 = t.normal({shape[0], shape[2]});
        Tensor da, db, dh0;
        t.check(ops::linear_scan_backward(dh, a, h, has_start ? &h0 : nullptr, da, db, dh0));
        for (const Tensor* x : {&da, &db, &dh0}) t.out(*x);
      });
    }
  }
}

void ranges(List& list) {
  struct Size {
    int64_t batch, queries, keys, q_heads, kv_heads, dim, count;
  };
  for (const Size& s : {Size{2, 9, 40, 4, 2, 16, 2}, Size{1, 33, 70, 2, 2, 20, 3}, Size{1, 5, 70, 3, 1, 7, 2},
                        Size{1, 3, 40, 2, 1, 256, 1}, Size{1, 4, 6, 1, 1, 8, 0}, Size{1, 0, 6, 1, 1, 8, 1}}) {
    const Shape qs{s.batch, s.queries, s.q_heads, s.dim}, ks{s.batch, s.keys, s.kv_heads, s.dim};
    // Query t sees keys 0 … and then pieces that move with t; every third one sees nothing in its last range.
    std::vector<int32_t> bounds;
    for (int64_t t = 0; t < s.queries; ++t) {
      for (int64_t r = 0; r < s.count; ++r) {
        const int64_t begin = r * s.keys / s.count + t % 3, room = (r + 1) * s.keys / s.count - begin;
        bounds.push_back(static_cast<int32_t>(begin));
        bounds.push_back(static_cast<int32_t>(begin + (t % 3 == 2 && r + 1 == s.count ? 0 : std::max<int64_t>(0, room - t % 2))));
      }
    }
    const Shape list_shape{s.queries, s.count, 2};
    const std::string size = "q " + qs.text() + " k " + ks.text() + " ranges " + list_shape.text();
    list.add("rangedAttention", attended, size, [=](Trial& t) {
      const Tensor q = t.normal(qs), k = t.normal(ks), v = t.normal(ks), seen = t.integers(list_shape, bounds);
      Tensor o, lse;
      t.check(ops::ranged_attention(q, k, v, seen, 0.3, o, lse));
      t.out(o);
      t.out(lse);
    });
    list.add("rangedAttentionBackward", gradient, size, [=](Trial& t) {
      const Tensor q = t.normal(qs), k = t.normal(ks), v = t.normal(ks), d_o = t.normal(qs);
      const Tensor seen = t.integers(list_shape, bounds);
      Tensor o, lse, dq, dk, dv;
      t.check(ops::ranged_attention(q, k, v, seen, 0.3, o, lse));
      if (!t.status().ok()) return;
      t.check(ops::ranged_attention_backward(d_o, q, k, v, o, lse, seen, 0.3, dq, dk, dv));
      for (const Tensor* x : {&dq, &dk, &dv}) t.out(*x);
    });
  }
}

}  // namespace

void sequence_cases(List& list) {
  epilogues(list);
  divergences(list);
  choices(list);
  recurrences(list);
  ranges(list);
}

}  // namespace forge::conformance
