#include "check.h"
#include "ops/ops.h"

namespace forge::test {
namespace {

/** Element i of a uniform fill, as the 24-bit integer it came from. */
int32_t top_bits(const Tensor& x, int64_t i) { return static_cast<int32_t>(x.f32()[i] * 16777216.0f); }

}  // namespace

// Known answers from the Random123 distribution (kat_vectors, philox4x32 10). Vectors whose high counter
// words are not zero cannot be asked for through this interface; the others are below.
TEST(philox_matches_the_known_answers) {
  for_each_isa([] {
    Tensor x = random_tensor({4}, 1);
    CHECK_OK(ops::philox_uniform(x, 0, 0, 0, 0, nullptr));
    const uint32_t zero_key[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    for (int i = 0; i < 4; ++i) CHECK(top_bits(x, i) == static_cast<int32_t>(zero_key[i] >> 8));
  });
}

TEST(philox_elements_depend_on_their_position_only) {
  for_each_isa([] {
    const Tensor all = random_tensor({3001}, 1), tail = random_tensor({1001}, 1);
    CHECK_OK(ops::philox_uniform(all, 1, 2, 0xffffff00, 3, nullptr));
    CHECK_OK(ops::philox_uniform(tail, 1, 2, 0xf4, 4, nullptr));  // 500 blocks later, over the carry
    for (int64_t i = 0; i < 1001; ++i) CHECK(tail.f32()[i] == all.f32()[2000 + i]);
  });
}

TEST(philox_is_the_same_on_every_instruction_set) {
  std::vector<double> first;
  for_each_isa([&] {
    const Tensor x = random_tensor({999}, 1);
    CHECK_OK(ops::philox_uniform(x, 5, 6, 7, 8, nullptr));
    if (first.empty()) first = values(x);
    CHECK_CLOSE(x, first, 0);
    for (const double v : values(x)) CHECK(v >= 0 && v < 1);
  });
}

TEST(philox_normal_has_the_moments_of_a_normal) {
  for_each_isa([] {
    constexpr int64_t n = 200001;
    const Tensor x = random_tensor({n}, 1);
    CHECK_OK(ops::philox_normal(x, 5, 6, 0, 0, 3, 2));
    double mean = 0, square = 0, fourth = 0;
    for (const double v : values(x)) mean += v / n;
    for (const double v : values(x)) {
      square += std::pow((v - mean) / 2, 2) / n;
      fourth += std::pow((v - mean) / 2, 4) / n;
    }
    // Five standard errors: 2/√n, √2/√n, √96/√n.
    CHECK(std::fabs(mean - 3) < 5 * 2 / std::sqrt(n));
    CHECK(std::fabs(square - 1) < 5 * std::sqrt(2.0 / n));
    CHECK(std::fabs(fourth - 3) < 5 * std::sqrt(96.0 / n));
  });
}

TEST(philox_normal_agrees_with_box_muller) {
  for_each_isa([] {
    const Tensor u = random_tensor({64}, 1), z = random_tensor({64}, 1);
    CHECK_OK(ops::philox_uniform(u, 1, 2, 3, 0, nullptr));
    CHECK_OK(ops::philox_normal(z, 1, 2, 3, 0, 0, 1));
    std::vector<double> expected;
    for (int64_t i = 0; i < 64; i += 2) {
      const double radius = std::sqrt(-2 * std::log(double{u.f32()[i]} + 0x1p-24)), angle = 2 * M_PI * double{u.f32()[i + 1]};
      expected.push_back(radius * std::cos(angle));
      expected.push_back(radius * std::sin(angle));
    }
    CHECK_CLOSE(z, expected, 2e-6);
  });
}

}  // namespace forge::test
