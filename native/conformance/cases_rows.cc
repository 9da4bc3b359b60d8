#include <cmath>

#include "cases.h"
#include "ops/ops.h"

/** What takes a row at a time, and what draws. */
namespace forge::conformance {

void row_cases(List& list) {
  for (const Shape& shape : {Shape{16, 64}, Shape{70, 33}, Shape{3, 1300}, Shape{5, 1}, Shape{0, 8}}) {
    const int64_t n = shape[0], width = shape[1];
    list.add("rmsNorm", normalised, shape.text(), [=](Trial& t) {
      Tensor y, rstd;
      const Tensor x = t.normal(shape), gain = t.normal({width});
      t.check(ops::rms_norm(x, gain, 1e-5, y, rstd));
      t.out(y);
      t.out(rstd);
    });
    list.add("rmsNormBackward", normalised, shape.text(), [=](Trial& t) {
      const Tensor x = t.normal(shape), gain = t.normal({width}), dy = t.normal(shape), d_gain = t.normal({width});
      const Tensor rstd = t.uniform({n}, 0.5, 2);
      Tensor dx;
      t.check(ops::rms_norm_backward(dy, x, gain, rstd, &d_gain, dx));
      t.out(dx);
      t.out(d_gain);
      t.check(ops::rms_norm_backward(dy, x, gain, rstd, nullptr, dx));
      t.out(dx);
    });
    list.add("softmax", normalised, shape.text(), [=](Trial& t) {
      Tensor y;
      t.check(ops::softmax(t.normal(shape, 4), y));
      t.out(y);
    });
    list.add("softmaxBackward", normalised, shape.text(), [=](Trial& t) {
      const Tensor y = t.uniform(shape, 0, 1), dy = t.normal(shape);
      Tensor dx;
      t.check(ops::softmax_backward(y, dy, dx));
      t.out(dx);
    });
    const auto targets = [=](Trial& t) {
      std::vector<int32_t> values;
      for (int64_t i = 0; i < n; ++i) values.push_back(i % 5 == 3 ? -100 : static_cast<int32_t>(i * 31 % width));
      return t.integers({n}, values);
    };
    list.add("crossEntropy", normalised, shape.text(), [=](Trial& t) {
      Tensor loss, lse;
      t.check(ops::cross_entropy(t.normal(shape, 4), targets(t), -100, loss, lse));
      t.out(loss);
      t.out(lse);
    });
    list.add("crossEntropyBackward", normalised, shape.text(), [=](Trial& t) {
      const Tensor logits = t.normal(shape), goals = targets(t), d_loss = t.normal({n}), lse = t.uniform({n}, 1, 3);
      for (const Tensor* slope : {&d_loss, static_cast<const Tensor*>(nullptr)}) {
        Tensor d_logits;
        t.check(ops::cross_entropy_backward(logits, goals, lse, slope, 0.25, -100, false, d_logits));
        t.out(d_logits);
      }
      Tensor in_place;
      t.check(ops::cross_entropy_backward(logits, goals, lse, nullptr, 2, -100, true, in_place));
      t.out(logits);
    });
  }
  list.add("crossEntropy", normalised, "a target outside is found", [](Trial& t) {
    Tensor loss, lse;
    t.expect_refused(ops::cross_entropy(t.normal({3, 4}), t.integers({3}, {0, -7, 4}), -7, loss, lse),
                     "crossEntropy: target 4 in row 2, needs 0 to 3 or ignoreIndex -7");
  });
  list.add("softmax", normalised, "NaN, infinities", [](Trial& t) {
    Tensor y;
    t.check(ops::softmax(t.floats({4, 3}, {1, NAN, 2, 1, INFINITY, 2, 1, -INFINITY, 2, -INFINITY, -INFINITY, -INFINITY}), y));
    t.out(y);
  });
  for (const int64_t pairing : {0, 1}) {
    for (const bool inverse : {false, true}) {
      list.add("rope", rounded, "pairing " + std::to_string(pairing) + (inverse ? " inverse" : ""), [=](Trial& t) {
        Tensor y;
        t.check(ops::rope(t.normal({2, 5, 3, 10}), 7, 10000, {}, pairing, inverse, y));
        t.out(y);
        t.check(ops::rope(t.normal({1, 16, 2, 32}), 300, 500000, {}, pairing, inverse, y));
        t.out(y);
        t.check(ops::rope(t.normal({1, 7, 2, 6}), 90, 10000, {1, 2.5, 8}, pairing, inverse, y));
        t.out(y);
        t.check(ops::rope(t.normal({1, 0, 2, 32}), 0, 10000, {}, pairing, inverse, y));
        t.out(y);
      });
    }
  }
  for (const int64_t n : {1024, 1237, 3, 0}) {
    list.add("philoxUniform", moved, std::to_string(n), [=](Trial& t) {
      const Tensor x = t.normal({n});
      t.check(ops::philox_uniform(x, 1, 2, 0xfffffff0u, 4, nullptr));
      t.out(x);
      const Tensor base = t.integers({2}, {-1, 3});
      t.check(ops::philox_uniform(x, 1, 2, 0xfffffff0u, 4, &base));
      t.out(x);
    });
    list.add("philoxNormal", gaussian, std::to_string(n), [=](Trial& t) {
      const Tensor x = t.normal({n});
      t.check(ops::philox_normal(x, 1, 2, 0xfffffff0u, 4, 0.5, 2));
      t.out(x);
    });
  }
}

}  // namespace forge::conformance
