#include <algorithm>
#include <cstring>
#include <numeric>

#include "check.h"
#include "core/allocator.h"
#include "ops/ops.h"

/** Merges: known values of mergekit's rules, invariants, exact counts, and the same bytes on every instruction set. */
namespace forge::test {
namespace {

using ops::Numbers;
enum Method { all, magnitude, random_choice, breadcrumbs, della };
enum Rescale { none, match_l1, inverse_density };

constexpr int64_t odd = 4099, sampled = 300007;  // the second is selected from by sampling

Tensor zeros(const Shape& shape) {
  Tensor y;
  CHECK_OK(ops::full(DType::f32, shape, 0, y));
  return y;
}

Tensor sparse(const Tensor& base, const TensorList& xs, int64_t method, double density, double extra, int64_t rescale,
              bool consensus, bool normalize) {
  Numbers keys;
  for (size_t i = 0; i < 2 * xs.size(); ++i) keys.push_back(static_cast<double>(1000 + i));
  Tensor y;
  CHECK_OK(ops::merge_task_vectors(base, xs, Numbers(xs.size(), 1), method, Numbers(xs.size(), density),
                                   Numbers(xs.size(), extra), rescale, keys, consensus, normalize, 1, y));
  return y;
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), static_cast<size_t>(a.bytes())) == 0;
}

int64_t nonzero(const Tensor& x) {
  return std::count_if(x.f32(), x.f32() + x.count(), [](float v) { return v != 0; });
}

double magnitudes(const Tensor& x) {
  return std::accumulate(x.f32(), x.f32() + x.count(), 0.0, [](double sum, float v) { return sum + std::fabs(v); });
}

/** Every merge of three tensors and a base. */
std::vector<Tensor> every_merge(const Tensor& base, const TensorList& xs) {
  std::vector<Tensor> results(11);
  CHECK_OK(ops::merge_linear(xs, {0.5, 0.3, -0.2}, true, results[0]));
  CHECK_OK(ops::merge_slerp(xs[0], xs[1], 0.3, results[1]));
  CHECK_OK(ops::merge_nuslerp(xs[0], xs[1], &base, 0.3, results[2]));
  CHECK_OK(ops::merge_multislerp(xs, {1, 2, 3}, &base, true, results[3]));
  CHECK_OK(ops::merge_karcher(xs, {0.2, 0.3, 0.5}, 10, 1e-5, results[4]));
  CHECK_OK(ops::merge_model_stock(base, xs, results[5]));
  CHECK_OK(ops::merge_sce(base, xs, 0.4, results[6]));
  CHECK_OK(ops::merge_ram(base, xs, 0.5, 0.1, 0.2, results[7]));
  CHECK_OK(ops::merge_nearswap(xs[0], xs[1], 0.1, results[8]));
  results[9] = sparse(base, xs, breadcrumbs, 0.5, 0.05, match_l1, true, true);
  results[10] = sparse(base, xs, della, 0.5, 0.2, match_l1, true, true);
  results.push_back(sparse(base, xs, magnitude, 0.3, 0, none, true, true));
  results.push_back(sparse(base, xs, random_choice, 0.3, 0, match_l1, false, false));
  return results;
}

}  // namespace

TEST(merges_give_the_known_values_of_mergekit) {
  for_each_isa([] {
    const Tensor base = zeros({4}), a = tensor_of({4}, {1, -2, 3, 0.1}), b = tensor_of({4}, {2, 1, -3, -0.2});
    CHECK_CLOSE(sparse(base, {a, b}, magnitude, 0.5, 0, none, true, true), (std::vector<double>{2, -2, 3, 0}), 0);
    Tensor y;
    CHECK_OK(ops::merge_slerp(tensor_of({2}, {1, 0}), tensor_of({2}, {0, 2}), 0.25, y));
    CHECK_CLOSE(y, (std::vector<double>{0.92388, 0.765367}), 1e-6);
    CHECK_OK(ops::merge_slerp(tensor_of({2}, {3, 4}), tensor_of({2}, {4, -3}), 0.5, y));
    CHECK_CLOSE(y, (std::vector<double>{4.949747, 0.707107}), 1e-6);
    CHECK_OK(ops::merge_multislerp({tensor_of({3}, {1, 0, 0}), tensor_of({3}, {0, 1, 0}), tensor_of({3}, {0, 0, 1})},
                                   {1, 1, 1}, nullptr, true, y));
    CHECK_CLOSE(y, (std::vector<double>{0.57735, 0.57735, 0.57735}), 1e-5);
    CHECK_OK(ops::merge_model_stock(zeros({2}), {tensor_of({2}, {1, 0}), tensor_of({2}, {1, 1})}, y));
    CHECK_CLOSE(y, (std::vector<double>{0.828427, 0.414214}), 1e-6);
  });
}

TEST(della_keeps_each_rank_with_its_probability) {
  for_each_isa([] {
    // Every row is the same: the share of rows in which an entry stays is its probability.
    constexpr int64_t rows = 40000;
    std::vector<double> values;
    for (int64_t i = 0; i < rows; ++i) values.insert(values.end(), {0.1, -0.4, 0.2, -0.3});
    const Tensor y = sparse(zeros({rows, 4}), {tensor_of({rows, 4}, values)}, della, 0.5, 0.1, none, false, false);
    const double expected[] = {0.4, 0.6, 0.466667, 0.533333};
    for (int64_t column = 0; column < 4; ++column) {
      double stayed = 0;
      for (int64_t row = 0; row < rows; ++row) stayed += y.f32()[row * 4 + column] != 0;
      CHECK(std::fabs(stayed / rows - expected[column]) < 0.0125);  // five standard deviations
    }
  });
}

TEST(every_merge_of_identical_models_is_that_model) {
  for_each_isa([] {
    const Tensor x = random_tensor({odd}, 1), base = random_tensor({odd}, 2);
    Tensor y;
    CHECK_OK(ops::merge_linear({x, x, x}, {0.2, 0.3, 0.5}, true, y));
    CHECK_CLOSE(y, values(x), 1e-7);
    CHECK_OK(ops::merge_slerp(x, x, 0.3, y));
    CHECK_CLOSE(y, values(x), 1e-7);
    CHECK_OK(ops::merge_nuslerp(x, x, &base, 0.3, y));
    CHECK_CLOSE(y, values(x), 3e-7);
    CHECK_OK(ops::merge_multislerp({x, x, x}, {1, 2, 3}, nullptr, true, y));
    CHECK_CLOSE(y, values(x), 1e-7);
    CHECK_OK(ops::merge_karcher({x, x, x}, {0.2, 0.3, 0.5}, 10, 1e-5, y));
    CHECK_CLOSE(y, values(x), 1e-7);
    CHECK_OK(ops::merge_model_stock(base, {x, x, x}, y));
    CHECK_CLOSE(y, values(x), 1e-7);
    CHECK_OK(ops::merge_sce(base, {x, x, x}, 1, y));
    CHECK_CLOSE(y, values(x), 3e-7);
    CHECK_OK(ops::merge_ram(base, {x, x, x}, 0, 0.1, 0.2, y));
    CHECK_CLOSE(y, values(x), 3e-7);
    CHECK_OK(ops::merge_nearswap(x, x, 0.1, y));
    CHECK(same_bytes(x, y));
    CHECK_OK(ops::merge_arcee_fusion(x, x, y));
    CHECK(same_bytes(x, y));
    CHECK_CLOSE(sparse(base, {x, x}, magnitude, 1, 0, none, true, true), values(x), 3e-7);
    CHECK_CLOSE(sparse(base, {x}, random_choice, 1, 0, match_l1, false, false), values(x), 3e-7);
  });
}

TEST(merges_are_exact_at_their_ends) {
  for_each_isa([] {
    const Tensor a = random_tensor({odd}, 1), b = random_tensor({odd}, 2), base = random_tensor({odd}, 3);
    Tensor y;
    CHECK_OK(ops::merge_linear({a, b}, {1, 0}, true, y));
    CHECK(same_bytes(a, y));
    CHECK_OK(ops::merge_slerp(a, b, 0, y));
    CHECK(same_bytes(a, y));
    CHECK_OK(ops::merge_slerp(a, b, 1, y));
    CHECK(same_bytes(b, y));
    CHECK(same_bytes(sparse(base, {a}, magnitude, 1, 0, none, true, true),
                     sparse(base, {a}, all, 1, 0, none, false, false)));
    CHECK_OK(ops::merge_linear({a, b}, {1, -1}, true, y));  // weights that cancel are not divided by
    std::vector<double> expected;
    for (int64_t i = 0; i < odd; ++i) expected.push_back(double{a.f32()[i]} - double{b.f32()[i]});
    CHECK_CLOSE(y, expected, 1e-7);
  });
}

TEST(merges_do_not_depend_on_the_order_of_models) {
  for_each_isa([] {
    const Tensor a = random_tensor({odd}, 1), b = random_tensor({odd}, 2), c = random_tensor({odd}, 3);
    const Tensor base = random_tensor({odd}, 4);
    Tensor x, y;
    CHECK_OK(ops::merge_linear({a, b, c}, {0.5, 0.3, 0.2}, true, x));
    CHECK_OK(ops::merge_linear({c, a, b}, {0.2, 0.5, 0.3}, true, y));
    CHECK_CLOSE(y, values(x), 1e-7);
    CHECK_OK(ops::merge_model_stock(base, {a, b, c}, x));
    CHECK_OK(ops::merge_model_stock(base, {b, c, a}, y));
    CHECK_CLOSE(y, values(x), 1e-7);
    CHECK_CLOSE(sparse(base, {b, c, a}, magnitude, 0.5, 0, none, true, true),
                values(sparse(base, {a, b, c}, magnitude, 0.5, 0, none, true, true)), 1e-7);
  });
}

TEST(trimming_keeps_exactly_the_largest_with_and_without_ties) {
  for_each_isa([] {
    for (const int64_t n : {int64_t{1}, int64_t{1000}, odd, sampled}) {
      for (const double step : {0.0, 0.01, 1.0}) {  // 0: no two magnitudes are equal; else multiples of the step
        const Tensor x = random_tensor({n}, 5);
        for (int64_t i = 0; step > 0 && i < n; ++i) x.f32()[i] = static_cast<float>(std::round(x.f32()[i] / step) * step);
        for (const double density : {0.001, 0.1, 0.5, 0.99}) {
          std::vector<int64_t> order(static_cast<size_t>(n));
          std::iota(order.begin(), order.end(), 0);
          std::stable_sort(order.begin(), order.end(),
                           [&](int64_t i, int64_t j) { return std::fabs(x.f32()[i]) > std::fabs(x.f32()[j]); });
          std::vector<double> expected(static_cast<size_t>(n), 0);
          const auto k = static_cast<int64_t>(density * static_cast<double>(n));
          for (int64_t i = 0; i < k; ++i) expected[static_cast<size_t>(order[static_cast<size_t>(i)])] = x.f32()[order[static_cast<size_t>(i)]];
          CHECK_CLOSE(sparse(zeros({n}), {x}, magnitude, density, 0, none, false, false), expected, 0);
        }
      }
    }
  });
}

TEST(breadcrumbs_drop_both_ends) {
  for_each_isa([] {
    const Tensor x = tensor_of({10}, {1, -2, 3, -4, 5, -6, 7, -8, 9, -10});
    CHECK_CLOSE(sparse(zeros({10}), {x}, breadcrumbs, 0.5, 0.2, none, false, false),
                (std::vector<double>{0, 0, 0, -4, 5, -6, 7, -8, 0, 0}), 0);
    CHECK_CLOSE(sparse(zeros({10}), {x}, breadcrumbs, 0.9, 0.2, none, false, false),
                (std::vector<double>{1, -2, 3, -4, 5, -6, 7, -8, 9, 0}), 0);
  });
}

TEST(dare_keeps_its_share_and_the_magnitudes_or_the_expectation) {
  for_each_isa([] {
    const Tensor x = random_tensor({sampled}, 6), base = zeros({sampled});
    const Tensor plain = sparse(base, {x}, random_choice, 0.3, 0, none, false, false);
    CHECK(std::fabs(static_cast<double>(nonzero(plain)) / sampled - 0.3) < 0.0042);  // five standard deviations
    CHECK(std::fabs(magnitudes(sparse(base, {x}, random_choice, 0.3, 0, match_l1, false, false)) / magnitudes(x) - 1) < 1e-6);
    const Tensor unbiased = sparse(base, {x}, random_choice, 0.3, 0, inverse_density, false, false);
    for (int64_t i = 0; i < sampled; ++i) {
      CHECK(unbiased.f32()[i] == 0 || unbiased.f32()[i] == static_cast<float>(double{x.f32()[i]} * (1 / 0.3)));
    }
  });
}

TEST(every_instruction_set_merges_to_the_same_bytes) {
  for (const int64_t n : {int64_t{0}, int64_t{1}, odd, sampled, int64_t{1} << 20}) {
    std::vector<std::vector<Tensor>> results;
    const Tensor base = random_tensor({n}, 1);
    const TensorList xs{random_tensor({n}, 2), random_tensor({n}, 3), random_tensor({n}, 4)};
    if (n == 0) continue;
    for_each_isa([&] { results.push_back(every_merge(base, xs)); });
    for (const auto& result : results) {
      for (size_t i = 0; i < result.size(); ++i) CHECK(same_bytes(result[i], results[0][i]));
    }
  }
}

TEST(merges_refuse_what_does_not_fit) {
  const Tensor a = random_tensor({3}, 1), b = random_tensor({4}, 2);
  Tensor y;
  CHECK_FAILS(ops::merge_linear({}, {}, true, y), Code::argument, "mergeLinear", "0 models");
  CHECK_FAILS(ops::merge_karcher({a, a}, {1, 1}, 10001, 0, y), Code::argument, "mergeKarcher", "0 to 10000");
  CHECK_FAILS(ops::merge_linear({a}, {1, 2}, true, y), Code::argument, "1 models and 2 weights");
  CHECK_FAILS(ops::merge_linear({a, b}, {1, 2}, true, y), Code::shape, "[3]", "[4]");
  CHECK_FAILS(ops::merge_model_stock(a, {a}, y), Code::argument, "at least 2");
  const Tensor minus = tensor_of({3}, {-a.f32()[0], -a.f32()[1], -a.f32()[2]}), zero = zeros({3});
  CHECK_FAILS(ops::merge_multislerp({a, minus, zero}, {1, 1, 1}, nullptr, true, y), Code::argument, "cancel");
  for (const double density : {0.0, -0.1, 1.1, std::nan("")}) {
    CHECK_FAILS(ops::merge_task_vectors(a, {a}, {1}, magnitude, {density}, {0}, none, {}, true, true, 1, y),
                Code::argument, "density");
  }
  CHECK_FAILS(ops::merge_task_vectors(a, {a}, {1}, della, {0.9}, {0.15}, none, {1, 2}, true, true, 1, y), Code::argument,
              "epsilon");
  CHECK_FAILS(ops::merge_task_vectors(a, {a}, {1}, random_choice, {0.5}, {0}, none, {1}, true, true, 1, y),
              Code::argument, "keys");
  CHECK_FAILS(ops::merge_task_vectors(a, {a}, {1}, 9, {0.5}, {0}, none, {}, true, true, 1, y), Code::argument, "method 9");
}

}  // namespace forge::test
