#include <array>
#include <cstring>

#include "check.h"
#include "ops/ops.h"

namespace forge::test {
namespace {

std::vector<double> naive(const Tensor& a, const Tensor& b, bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                          int64_t batch, const std::vector<double>& start, double beta) {
  std::vector<double> c(static_cast<size_t>(batch * m * n));
  for (int64_t p = 0; p < batch; ++p) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) {
          sum += double{a.f32()[p * m * k + (ta ? l * m + i : i * k + l)]} *
                 double{b.f32()[p * k * n + (tb ? j * k + l : l * n + j)]};
        }
        const size_t at = static_cast<size_t>(p * m * n + i * n + j);
        c[at] = sum + (start.empty() ? 0 : beta * start[at]);
      }
    }
  }
  return c;
}

void compare(int64_t m, int64_t n, int64_t k, int64_t batch, bool ta, bool tb) {
  const Shape as = batch > 0 ? Shape{batch, ta ? k : m, ta ? m : k} : Shape{ta ? k : m, ta ? m : k};
  const Shape bs = batch > 0 ? Shape{batch, tb ? n : k, tb ? k : n} : Shape{tb ? n : k, tb ? k : n};
  const Tensor a = random_tensor(as, 1), b = random_tensor(bs, 2);
  const int64_t products = batch > 0 ? batch : 1;
  // Sums of k products of normals: error grows as √k·2⁻²⁴.
  const double tolerance = 2e-6 * std::sqrt(static_cast<double>(k) + 1);
  Tensor y;
  CHECK_OK(ops::matmul(a, b, ta, tb, nullptr, 0, y));
  CHECK_CLOSE(y, naive(a, b, ta, tb, m, n, k, products, {}, 0), tolerance);
  const std::vector<double> start = values(y);
  Tensor again;
  CHECK_OK(ops::matmul(a, b, ta, tb, &y, 0.5, again));
  CHECK_CLOSE(y, naive(a, b, ta, tb, m, n, k, products, start, 0.5), tolerance);
}

}  // namespace

TEST(agrees_with_plain_loops_on_odd_shapes) {
  for_each_isa([] {
    for (const auto& [m, n, k] : std::vector<std::array<int64_t, 3>>{{1, 1, 1},
                                                                    {1, 37, 19},
                                                                    {2, 65, 130},
                                                                    {3, 5, 7},
                                                                    {4, 33, 256},
                                                                    {5, 17, 31},
                                                                    {13, 15, 16},
                                                                    {14, 32, 257},
                                                                    {15, 33, 300},
                                                                    {29, 48, 513},
                                                                    {130, 70, 65},
                                                                    {257, 129, 64}}) {
      for (int flags = 0; flags < 4; ++flags) compare(m, n, k, 0, (flags & 1) != 0, (flags & 2) != 0);
    }
  });
}

TEST(agrees_with_plain_loops_in_batches) {
  for_each_isa([] {
    for (int flags = 0; flags < 4; ++flags) {
      compare(9, 35, 20, 3, (flags & 1) != 0, (flags & 2) != 0);
      compare(3, 20, 9, 9, (flags & 1) != 0, (flags & 2) != 0);
      compare(17, 40, 33, 16, (flags & 1) != 0, (flags & 2) != 0);
    }
  });
}

TEST(empty_products_are_zero_or_beta_times_out) {
  for_each_isa([] {
    const Tensor a = random_tensor({3, 0}, 1), b = random_tensor({0, 4}, 2);
    Tensor y;
    CHECK_OK(ops::matmul(a, b, false, false, nullptr, 0, y));
    CHECK_CLOSE(y, std::vector<double>(12, 0.0), 0);
    const Tensor out = tensor_of({3, 4}, std::vector<double>(12, 2.0));
    CHECK_OK(ops::matmul(a, b, false, false, &out, 0.5, y));
    CHECK_CLOSE(out, std::vector<double>(12, 1.0), 0);
    CHECK_OK(ops::matmul(random_tensor({0, 4}, 1), random_tensor({4, 5}, 2), false, false, nullptr, 0, y));
    CHECK(y.shape() == (Shape{0, 5}));
    CHECK_OK(ops::matmul(random_tensor({2, 4}, 1), random_tensor({4, 0}, 2), false, false, nullptr, 0, y));
    CHECK(y.shape() == (Shape{2, 0}));
  });
}

TEST(leading_axes_of_a_are_rows) {
  const Tensor a = random_tensor({2, 3, 4}, 1), b = random_tensor({5, 4}, 2);
  Tensor y, flat;
  CHECK_OK(ops::matmul(a, b, false, true, nullptr, 0, y));
  CHECK(y.shape() == (Shape{2, 3, 5}));
  CHECK_OK(ops::matmul(a.view(0, {6, 4}), b, false, true, nullptr, 0, flat));
  CHECK_CLOSE(y, values(flat), 0);
}

TEST(overwrites_nan_when_beta_is_zero) {
  for_each_isa([] {
    const Tensor out = tensor_of({20, 20}, std::vector<double>(400, std::nan("")));
    Tensor y;
    CHECK_OK(ops::matmul(random_tensor({20, 8}, 1), random_tensor({8, 20}, 2), false, false, &out, 0, y));
    for (const double v : values(out)) CHECK(std::isfinite(v));
  });
}

TEST(a_nan_reaches_only_its_row) {
  for_each_isa([] {
    Tensor a = random_tensor({16, 9}, 1), y;
    a.f32()[5 * 9 + 3] = std::nanf("");
    CHECK_OK(ops::matmul(a, random_tensor({9, 21}, 2), false, false, nullptr, 0, y));
    for (int64_t i = 0; i < 16 * 21; ++i) CHECK(std::isnan(y.f32()[i]) == (i / 21 == 5));
  });
}

/** x rounded to bf16 by IEEE arithmetic: adding and taking away a number whose last place is that of a bf16. */
float as_bf16(float x) {
  const float magnet = std::ldexp(1.5f, std::ilogb(x) + 16);
  return x == 0 ? 0 : (x + magnet) - magnet;
}

TEST(bf16_products_agree_with_plain_loops_over_rounded_operands) {
  for_each_isa([] {
    for (const auto& [m, n, k, batch] : std::vector<std::array<int64_t, 4>>{{1, 1, 1, 0},
                                                                           {3, 5, 7, 0},
                                                                           {14, 32, 64, 0},
                                                                           {15, 33, 1031, 0},
                                                                           {130, 70, 65, 0},
                                                                           {9, 35, 20, 3}}) {
      for (int flags = 0; flags < 4; ++flags) {
        const bool ta = (flags & 1) != 0, tb = (flags & 2) != 0;
        Shape as{ta ? k : m, ta ? m : k}, bs{tb ? n : k, tb ? k : n};
        if (batch > 0) as = Shape{batch, as[0], as[1]}, bs = Shape{batch, bs[0], bs[1]};
        const Tensor a = random_tensor(as, 1), b = random_tensor(bs, 2);
        Tensor y, again;
        CHECK_OK(ops::matmul_bf16(a, b, ta, tb, nullptr, 0, y));
        const std::vector<double> start = values(y);
        CHECK_OK(ops::matmul_bf16(a, b, ta, tb, &y, 0.5, again));
        for (int64_t i = 0; i < a.count(); ++i) a.f32()[i] = as_bf16(a.f32()[i]);
        for (int64_t i = 0; i < b.count(); ++i) b.f32()[i] = as_bf16(b.f32()[i]);
        const int64_t products = batch > 0 ? batch : 1;
        const double tolerance = 2e-6 * std::sqrt(static_cast<double>(k) + 1);
        CHECK_CLOSE(tensor_of(y.shape(), start), naive(a, b, ta, tb, m, n, k, products, {}, 0), tolerance);
        CHECK_CLOSE(again, naive(a, b, ta, tb, m, n, k, products, start, 0.5), tolerance);
      }
    }
  });
}

TEST(bf16_products_keep_empty_sizes_and_nan) {
  for_each_isa([] {
    Tensor y;
    CHECK_OK(ops::matmul_bf16(random_tensor({3, 0}, 1), random_tensor({0, 4}, 2), false, false, nullptr, 0, y));
    CHECK_CLOSE(y, std::vector<double>(12, 0.0), 0);
    const Tensor a = random_tensor({16, 9}, 1);
    // The payload of this NaN is in the bits that rounding drops.
    const uint32_t bits = 0x7f800001u;
    std::memcpy(&a.f32()[5 * 9 + 3], &bits, sizeof bits);
    CHECK_OK(ops::matmul_bf16(a, random_tensor({9, 21}, 2), false, false, nullptr, 0, y));
    for (int64_t i = 0; i < 16 * 21; ++i) CHECK(std::isnan(y.f32()[i]) == (i / 21 == 5));
  });
}

TEST(refuses_shapes_and_overlap) {
  Tensor y;
  const Tensor a = random_tensor({2, 3}, 1), b = random_tensor({4, 5}, 2), square = random_tensor({3, 3}, 3);
  CHECK_FAILS(ops::matmul(a, b, false, false, nullptr, 0, y), Code::shape, "matmul", "[2, 3]", "[4, 5]");
  CHECK_FAILS(ops::matmul(random_tensor({2, 2, 3}, 1), random_tensor({3, 3, 2}, 1), false, false, nullptr, 0, y),
              Code::shape, "[2, 2, 3]", "[3, 3, 2]");
  CHECK_FAILS(ops::matmul(a, square, false, false, &square, 0, y), Code::shape, "out [3, 3]", "[2, 3]");
  CHECK_FAILS(ops::matmul(square, square, false, false, &square, 0, y), Code::argument, "shares");
  CHECK_FAILS(ops::matmul(a, tensor_of_i32({3}, {1, 2, 3}), false, false, nullptr, 0, y), Code::dtype, "i32");
}

}  // namespace forge::test
