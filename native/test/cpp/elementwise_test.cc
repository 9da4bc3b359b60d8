#include <algorithm>

#include "check.h"
#include "ops/ops.h"

namespace forge::test {
namespace {

using Op = Status (*)(const Tensor&, Tensor&);
using Op2 = Status (*)(const Tensor&, const Tensor&, Tensor&);

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Lengths around one vector, two vectors and one piece of work.
const std::vector<int64_t> lengths{0, 1, 3, 15, 16, 17, 33, 16384 + 5};

void compare(Op op, double (*f)(double), bool positive, double tolerance) {
  for (const int64_t n : lengths) {
    Tensor x = random_tensor({n}, 5, 3), y;
    if (positive) {
      for (int64_t i = 0; i < n; ++i) x.f32()[i] = std::fabs(x.f32()[i]) + 1e-3f;
    }
    std::vector<double> expected;
    for (const double v : values(x)) expected.push_back(f(v));
    CHECK_OK(op(x, y));
    CHECK_CLOSE(y, expected, tolerance);
  }
}

void compare2(Op2 op, double (*f)(double, double), double tolerance) {
  for (const int64_t n : lengths) {
    const Tensor a = random_tensor({n}, 5, 2), b = random_tensor({n}, 6, 2);
    Tensor y;
    std::vector<double> expected;
    for (int64_t i = 0; i < n; ++i) expected.push_back(f(a.f32()[i], b.f32()[i]));
    CHECK_OK(op(a, b, y));
    CHECK_CLOSE(y, expected, tolerance);
  }
}

/** The largest error of op in units in the last place over x = from … to. */
double worst_ulp(Op op, double (*f)(double), double from, double to) {
  constexpr int64_t n = 200'003;
  std::vector<double> points;
  for (int64_t i = 0; i < n; ++i) points.push_back(from + (to - from) * static_cast<double>(i) / (n - 1));
  const Tensor x = tensor_of({n}, points);
  Tensor y;
  CHECK_OK(op(x, y));
  double worst = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double exact = f(x.f32()[i]);
    const float nearest = static_cast<float>(exact);
    const double ulp = double{std::nextafterf(std::fabs(nearest), INFINITY)} - double{std::fabs(nearest)};
    worst = std::max(worst, std::fabs(y.f32()[i] - exact) / ulp);
  }
  return worst;
}

}  // namespace

TEST(unary_ops_agree_with_plain_loops) {
  for_each_isa([] {
    compare(ops::neg, [](double x) { return -x; }, false, 0);
    compare(ops::exp, [](double x) { return std::exp(x); }, false, 3e-7);
    compare(ops::log, [](double x) { return std::log(x); }, true, 3e-7);
    compare(ops::tanh, [](double x) { return std::tanh(x); }, false, 3e-7);
    compare(ops::sigmoid, sigmoid, false, 3e-7);
    compare(ops::silu, [](double x) { return x * sigmoid(x); }, false, 3e-7);
    compare(ops::relu, [](double x) { return x > 0 ? x : 0; }, false, 0);
    compare(ops::relu2, [](double x) { return x > 0 ? x * x : 0; }, false, 2e-7);
    compare(ops::sqrt, [](double x) { return std::sqrt(x); }, true, 2e-7);
    compare(ops::abs, [](double x) { return std::fabs(x); }, false, 0);
    compare(ops::sign, [](double x) { return x > 0 ? 1.0 : (x < 0 ? -1.0 : 0.0); }, false, 0);
  });
}

TEST(elementary_functions_are_within_two_ulp) {
  for_each_isa([] {
    CHECK(worst_ulp(ops::exp, [](double x) { return std::exp(x); }, -87, 88.7) <= 2);
    CHECK(worst_ulp(ops::log, [](double x) { return std::log(x); }, 1e-6, 3) <= 2);
    CHECK(worst_ulp(ops::log, [](double x) { return std::log(x); }, 3, 1e30) <= 2);
    CHECK(worst_ulp(ops::tanh, [](double x) { return std::tanh(x); }, -9, 9) <= 2.5);
  });
}

TEST(elementary_functions_at_the_edges) {
  for_each_isa([] {
    const double infinity = INFINITY, nan = std::nan("");
    const Tensor x = tensor_of({6}, {infinity, -infinity, nan, 0, -1000, 1000});
    Tensor y;
    CHECK_OK(ops::exp(x, y));
    CHECK_CLOSE(y, (std::vector<double>{infinity, 0, nan, 1, 0, infinity}), 0);
    CHECK_OK(ops::log(x, y));
    CHECK_CLOSE(y, (std::vector<double>{infinity, nan, nan, -infinity, nan, std::log(1000)}), 3e-7);
    CHECK_OK(ops::tanh(x, y));
    CHECK_CLOSE(y, (std::vector<double>{1, -1, nan, 0, -1, 1}), 0);
    CHECK_OK(ops::sigmoid(x, y));
    CHECK_CLOSE(y, (std::vector<double>{1, 0, nan, 0.5, 0, 1}), 0);
    CHECK_OK(ops::relu(x, y));
    CHECK(std::isnan(y.f32()[2]));
    CHECK_OK(ops::exp(tensor_of({1}, {-100}), y));
    CHECK(std::fabs(y.f32()[0] - std::exp(-100)) <= 2 * 0x1p-149);  // two steps of the subnormals
  });
}

TEST(binary_ops_agree_with_plain_loops) {
  for_each_isa([] {
    compare2(ops::add, [](double a, double b) { return a + b; }, 2e-7);
    compare2(ops::sub, [](double a, double b) { return a - b; }, 2e-7);
    compare2(ops::mul, [](double a, double b) { return a * b; }, 2e-7);
    compare2(ops::div, [](double a, double b) { return a / b; }, 2e-7);
  });
}

TEST(binary_ops_broadcast_trailing_axes_and_scalars) {
  for_each_isa([] {
    const Tensor a = random_tensor({3, 2, 19}, 1), row = random_tensor({19}, 2), block = random_tensor({2, 19}, 3);
    const Tensor one = tensor_of({1}, {2.5}), scalar = tensor_of({}, {2.5});
    for (const Tensor& b : {row, block, one, scalar}) {
      Tensor y;
      CHECK_OK(ops::sub(a, b, y));
      std::vector<double> expected;
      for (int64_t i = 0; i < a.count(); ++i) expected.push_back(double{a.f32()[i]} - double{b.f32()[i % b.count()]});
      CHECK_CLOSE(y, expected, 2e-7);
    }
    Tensor y;
    CHECK_FAILS(ops::add(a, random_tensor({3}, 4), y), Code::shape, "add", "[3]", "[3, 2, 19]");
    CHECK_FAILS(ops::add(row, a, y), Code::shape, "[19]");
  });
}

TEST(backward_ops_agree_with_derivatives) {
  for_each_isa([] {
    compare2(ops::silu_backward, [](double x, double d) { return d * sigmoid(x) * (1 + x * (1 - sigmoid(x))); }, 1e-6);
    compare2(ops::sigmoid_backward, [](double y, double d) { return d * y * (1 - y); }, 1e-6);
    compare2(ops::tanh_backward, [](double y, double d) { return d * (1 - y * y); }, 1e-6);
    compare2(ops::relu_backward, [](double x, double d) { return x > 0 ? d : 0; }, 0);
    compare2(ops::relu2_backward, [](double x, double d) { return x > 0 ? 2 * x * d : 0; }, 1e-6);
    compare2(ops::swiglu, [](double g, double u) { return g * sigmoid(g) * u; }, 1e-6);
  });
}

TEST(in_place_ops_change_their_destination) {
  for_each_isa([] {
    const Tensor y = tensor_of({3}, {1, 2, 3}), x = tensor_of({3}, {10, 20, 30});
    CHECK_OK(ops::axpy(y, 0.5, x));
    CHECK_CLOSE(y, (std::vector<double>{6, 12, 18}), 0);
    CHECK_OK(ops::scale_in_place(y, -2));
    CHECK_CLOSE(y, (std::vector<double>{-12, -24, -36}), 0);
    CHECK_FAILS(ops::axpy(y, 1, random_tensor({4}, 1)), Code::shape, "axpy", "[3]", "[4]");
  });
}

TEST(swiglu_backward_agrees_with_finite_differences) {
  for_each_isa([] {
    const Tensor g = random_tensor({21}, 1), u = random_tensor({21}, 2), dy = random_tensor({21}, 3);
    Tensor dg, du;
    CHECK_OK(ops::swiglu_backward(dy, g, u, dg, du));
    const auto loss = [&] {
      Tensor y;
      CHECK_OK(ops::swiglu(g, u, y));
      return inner(y, dy);
    };
    CHECK_CLOSE(dg, finite_difference(g, 1e-2, loss), 2e-3);
    CHECK_CLOSE(du, finite_difference(u, 1e-2, loss), 2e-3);
  });
}

}  // namespace forge::test
