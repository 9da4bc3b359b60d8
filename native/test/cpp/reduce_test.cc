#include <algorithm>

#include "check.h"
#include "ops/ops.h"

namespace forge::test {
namespace {

std::vector<double> reduced(const Tensor& x, int axis, const std::function<double(const std::vector<double>&)>& f) {
  const Shape& s = x.shape();
  const int64_t outer = axis < 0 ? 1 : s.count(0, axis), length = axis < 0 ? x.count() : s[axis];
  const int64_t inside = axis < 0 ? 1 : s.count(axis + 1, s.rank);
  std::vector<double> result;
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inside; ++i) {
      std::vector<double> line;
      for (int64_t l = 0; l < length; ++l) line.push_back(x.f32()[(o * length + l) * inside + i]);
      result.push_back(f(line));
    }
  }
  return result;
}

double total(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v;
  return sum;
}

}  // namespace

TEST(reductions_agree_with_plain_loops) {
  for_each_isa([] {
    for (const Shape& shape : {Shape{3, 37, 5}, Shape{130, 17}, Shape{70000}, Shape{2, 0, 3}}) {
      for (int axis = -1; axis < shape.rank; ++axis) {
        const Tensor x = random_tensor(shape, 1);
        Tensor y;
        CHECK_OK(ops::sum(x, axis, y));
        CHECK_CLOSE(y, reduced(x, axis, total), 1e-5);
        CHECK(y.shape() == (axis < 0 ? Shape{1} : shape.without(axis)));
        CHECK_OK(ops::mean(x, axis, y));
        CHECK_CLOSE(y, reduced(x, axis, [](const auto& v) { return total(v) / static_cast<double>(v.size()); }), 1e-5);
        if (x.count() == 0) continue;
        CHECK_OK(ops::max(x, axis, y));
        CHECK_CLOSE(y, reduced(x, axis, [](const auto& v) { return *std::max_element(v.begin(), v.end()); }), 0);
      }
    }
    Tensor y;
    CHECK_FAILS(ops::max(random_tensor({2, 0}, 1), 1, y), Code::argument, "[2, 0]");
    CHECK_FAILS(ops::sum(random_tensor({2, 3}, 1), 2, y), Code::argument, "axis 2", "[2, 3]");
  });
}

TEST(max_and_argmax_find_nan_and_the_first_of_equals) {
  for_each_isa([] {
    Tensor x = tensor_of({2, 20}, std::vector<double>(40, 1.0)), y;
    x.f32()[33] = std::nanf("");
    CHECK_OK(ops::argmax(x, y));
    CHECK_CLOSE(y, (std::vector<double>{0, 13}), 0);
    CHECK_OK(ops::max(x, 1, y));
    CHECK_CLOSE(y, (std::vector<double>{1, std::nan("")}), 0);
    CHECK_OK(ops::max(x, 0, y));
    CHECK(std::isnan(y.f32()[13]));
  });
}

TEST(sum_to_shape_inverts_the_broadcast) {
  for_each_isa([] {
    const Tensor x = random_tensor({4, 3, 5}, 1);
    Tensor y;
    CHECK_OK(ops::sum_to_shape(x, {5}, y));
    CHECK_CLOSE(y, reduced(x.view(0, {12, 5}), 0, total), 1e-6);
    CHECK_OK(ops::sum_to_shape(x, {3, 5}, y));
    CHECK_CLOSE(y, reduced(x.view(0, {4, 15}), 0, total), 1e-6);
    CHECK_OK(ops::sum_to_shape(x, {1}, y));
    CHECK_CLOSE(y, reduced(x, -1, total), 1e-6);
    CHECK_FAILS(ops::sum_to_shape(x, {4}, y), Code::shape, "[4]", "[4, 3, 5]");
  });
}

TEST(scalars_of_many_tensors) {
  for_each_isa([] {
    const Tensor a = random_tensor({300001}, 1), b = random_tensor({7}, 2);
    double squares = 0, product = 0;
    CHECK_OK(ops::sum_squares({a, b}, squares));
    CHECK(std::fabs(squares - inner(a, a) - inner(b, b)) < 1e-6 * squares);
    CHECK_OK(ops::dot(a, a, product));
    CHECK(std::fabs(product - inner(a, a)) < 1e-9 * product);
    bool finite = false;
    CHECK_OK(ops::is_finite({a, b}, finite));
    CHECK(finite);
    a.f32()[200000] = INFINITY;
    CHECK_OK(ops::is_finite({a, b}, finite));
    CHECK(!finite);
    a.f32()[200000] = std::nanf("");
    CHECK_OK(ops::is_finite({b, a}, finite));
    CHECK(!finite);
    CHECK_OK(ops::is_finite({}, finite));
    CHECK(finite);
  });
}

}  // namespace forge::test
