#include "check.h"
#include "ops/ops.h"

/** Ops along the last axis: rmsNorm, softmax, crossEntropy, rope. */
namespace forge::test {
namespace {

const std::vector<Shape> shapes{{0, 5}, {1, 1}, {3, 7}, {5, 16}, {70, 33}};

}  // namespace

TEST(rms_norm_agrees_with_plain_loops) {
  for_each_isa([] {
    for (const Shape& shape : shapes) {
      const Tensor x = random_tensor(shape, 1, 2), gain = random_tensor({shape[1]}, 2);
      Tensor y, rstd;
      CHECK_OK(ops::rms_norm(x, gain, 1e-5, y, rstd));
      std::vector<double> expected, factors;
      for (int64_t row = 0; row < shape[0]; ++row) {
        double squares = 0;
        for (int64_t i = 0; i < shape[1]; ++i) squares += std::pow(x.f32()[row * shape[1] + i], 2);
        factors.push_back(1 / std::sqrt(squares / static_cast<double>(shape[1]) + 1e-5));
        for (int64_t i = 0; i < shape[1]; ++i) {
          expected.push_back(x.f32()[row * shape[1] + i] * factors.back() * gain.f32()[i]);
        }
      }
      CHECK_CLOSE(y, expected, 1e-6);
      CHECK_CLOSE(rstd, factors, 1e-6);
    }
  });
}

TEST(rms_norm_backward_agrees_with_finite_differences) {
  for_each_isa([] {
    const Tensor x = random_tensor({35, 19}, 1), gain = random_tensor({19}, 2), dy = random_tensor({35, 19}, 3);
    Tensor y, rstd, dx;
    const Tensor d_gain = tensor_of({19}, std::vector<double>(19, 0.0));
    CHECK_OK(ops::rms_norm(x, gain, 1e-5, y, rstd));
    CHECK_OK(ops::rms_norm_backward(dy, x, gain, rstd, &d_gain, dx));
    const auto loss = [&] {
      Tensor out, ignored;
      CHECK_OK(ops::rms_norm(x, gain, 1e-5, out, ignored));
      return inner(out, dy);
    };
    CHECK_CLOSE(dx, finite_difference(x, 1e-2, loss), 3e-3);
    CHECK_CLOSE(d_gain, finite_difference(gain, 1e-2, loss), 3e-3);
    std::vector<double> twice = values(d_gain);
    for (double& v : twice) v *= 2;
    CHECK_OK(ops::rms_norm_backward(dy, x, gain, rstd, &d_gain, dx));
    CHECK_CLOSE(d_gain, twice, 1e-6);
    CHECK_FAILS(ops::rms_norm(x, random_tensor({18}, 1), 1e-5, y, rstd), Code::shape, "rmsNorm", "[18]", "[35, 19]");
  });
}

TEST(softmax_agrees_with_plain_loops_and_differences) {
  for_each_isa([] {
    for (const Shape& shape : shapes) {
      const Tensor x = random_tensor(shape, 1, 5);
      Tensor y;
      CHECK_OK(ops::softmax(x, y));
      std::vector<double> expected;
      for (int64_t row = 0; row < shape[0]; ++row) {
        double sum = 0;
        for (int64_t i = 0; i < shape[1]; ++i) sum += std::exp(double{x.f32()[row * shape[1] + i]});
        for (int64_t i = 0; i < shape[1]; ++i) expected.push_back(std::exp(double{x.f32()[row * shape[1] + i]}) / sum);
      }
      CHECK_CLOSE(y, expected, 1e-6);
    }
    const Tensor x = random_tensor({2, 21}, 1), dy = random_tensor({2, 21}, 2);
    Tensor y, dx;
    CHECK_OK(ops::softmax(x, y));
    CHECK_OK(ops::softmax_backward(y, dy, dx));
    CHECK_CLOSE(dx, finite_difference(x, 1e-2, [&] {
                  Tensor out;
                  CHECK_OK(ops::softmax(x, out));
                  return inner(out, dy);
                }),
                2e-3);
  });
}

TEST(cross_entropy_agrees_with_plain_loops_and_differences) {
  for_each_isa([] {
    const Tensor logits = random_tensor({5, 37}, 1, 3), targets = tensor_of_i32({5}, {0, 36, -100, 7, 7});
    const Tensor d_loss = random_tensor({5}, 4);
    Tensor loss, lse, d_logits;
    CHECK_OK(ops::cross_entropy(logits, targets, -100, loss, lse));
    std::vector<double> expected;
    for (int64_t row = 0; row < 5; ++row) {
      double sum = 0;
      for (int64_t i = 0; i < 37; ++i) sum += std::exp(double{logits.f32()[row * 37 + i]});
      const int32_t target = targets.i32()[row];
      expected.push_back(target == -100 ? 0 : std::log(sum) - double{logits.f32()[row * 37 + target]});
    }
    CHECK_CLOSE(loss, expected, 1e-6);
    CHECK_OK(ops::cross_entropy_backward(logits, targets, lse, &d_loss, 0.5, -100, false, d_logits));
    const std::vector<double> slopes = finite_difference(logits, 1e-2, [&] {
      Tensor out, ignored;
      CHECK_OK(ops::cross_entropy(logits, targets, -100, out, ignored));
      return 0.5 * inner(out, d_loss);
    });
    CHECK_CLOSE(d_logits, slopes, 2e-3);
    const std::vector<double> separate = values(d_logits);
    Tensor in_place;
    CHECK_OK(ops::cross_entropy_backward(logits, targets, lse, &d_loss, 0.5, -100, true, in_place));
    CHECK(in_place.f32() == logits.f32());
    CHECK_CLOSE(logits, separate, 0);
  });
}

TEST(cross_entropy_refuses_targets_out_of_range) {
  Tensor loss, lse;
  const Tensor logits = random_tensor({2, 4}, 1);
  CHECK_FAILS(ops::cross_entropy(logits, tensor_of_i32({2}, {0, 4}), -1, loss, lse), Code::argument, "target 4", "row 1");
  CHECK_FAILS(ops::cross_entropy(logits, tensor_of_i32({3}, {0, 1, 2}), -1, loss, lse), Code::shape, "[2, 4]", "[3]");
  CHECK_FAILS(ops::cross_entropy(logits, random_tensor({2}, 1), -1, loss, lse), Code::dtype, "targets");
}

TEST(rope_rotates_pairs_and_back) {
  for_each_isa([] {
    for (const int64_t variant : {0, 1, 2, 3}) {
      const int64_t pairing = variant % 2;
      const std::vector<double> factors = variant < 2 ? std::vector<double>{} : std::vector<double>{1, 1.5, 4, 8, 0.5};
      const Tensor x = random_tensor({2, 5, 3, 10}, 1);
      Tensor y, back;
      CHECK_OK(ops::rope(x, 7, 10000, factors, pairing, false, y));
      std::vector<double> expected(static_cast<size_t>(x.count()));
      for (int64_t row = 0; row < 2 * 5 * 3; ++row) {
        for (int64_t i = 0; i < 5; ++i) {
          const double factor = factors.empty() ? 1 : factors[static_cast<size_t>(i)];
          const double angle =
              static_cast<double>(7 + row / 3 % 5) * std::pow(10000.0, -2.0 * static_cast<double>(i) / 10) / factor;
          const int64_t first = row * 10 + (pairing == 0 ? i : 2 * i), second = row * 10 + (pairing == 0 ? i + 5 : 2 * i + 1);
          const double a = x.f32()[first], b = x.f32()[second];
          expected[static_cast<size_t>(first)] = a * std::cos(angle) - b * std::sin(angle);
          expected[static_cast<size_t>(second)] = b * std::cos(angle) + a * std::sin(angle);
        }
      }
      CHECK_CLOSE(y, expected, 1e-6);
      CHECK_OK(ops::rope(y, 7, 10000, factors, pairing, true, back));
      CHECK_CLOSE(back, values(x), 1e-6);
    }
    Tensor y;
    CHECK_OK(ops::rope(random_tensor({1, 0, 2, 4}, 1), 0, 10000, {}, 0, false, y));
    CHECK_FAILS(ops::rope(random_tensor({1, 2, 2, 5}, 1), 0, 10000, {}, 0, false, y), Code::shape, "[1, 2, 2, 5]", "even");
    CHECK_FAILS(ops::rope(random_tensor({1, 2, 2, 4}, 1), -1, 10000, {}, 0, false, y), Code::argument, "position0 -1");
    const Tensor four = random_tensor({1, 2, 2, 4}, 1);
    CHECK_FAILS(ops::rope(four, 0, 10000, {1}, 0, false, y), Code::shape, "1 factors", "needs 2");
    CHECK_FAILS(ops::rope(four, 0, 10000, {1, 0}, 0, false, y), Code::argument, "factor 1 is 0");
  });
}

}  // namespace forge::test
