#include <cstring>

#include "check.h"
#include "ops/ops.h"

/** Absmean and absmax quantisers, packing, and products with exact sums. */
namespace forge::test {
namespace {

Tensor codes_of(const Shape& shape, const std::function<int(int64_t)>& f) {
  Tensor x;
  CHECK_OK(empty("test", DType::i8, shape, x));
  for (int64_t i = 0; i < x.count(); ++i) x.i8()[i] = static_cast<int8_t>(f(i));
  return x;
}

/** Scattered, the same on every machine. */
int scrambled(int64_t i, int range) {
  return static_cast<int>((static_cast<uint64_t>(i + 1) * 0x9e3779b97f4a7c15u >> 33) % static_cast<uint64_t>(range));
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), static_cast<size_t>(a.bytes())) == 0;
}

Tensor packed_of(const Tensor& codes) {
  Tensor packed;
  CHECK_OK(ops::ternary_pack(codes, packed));
  return packed;
}

}  // namespace

TEST(quantisers_give_the_published_examples) {
  for_each_isa([] {
    Tensor codes, step, steps;
    CHECK_OK(ops::absmean_quantize(tensor_of({2, 3}, {.5, -.1, .05, -.8, .3, 0}), codes, step));
    const int8_t expected[] = {1, 0, 0, -1, 1, 0};
    CHECK(std::memcmp(codes.i8(), expected, 6) == 0);
    CHECK_CLOSE(step, {0.29166667}, 1e-7);
    CHECK_OK(ops::absmax_quantize(tensor_of({1, 3}, {.3, -1.27, .635}), codes, steps));
    const int8_t rounded[] = {30, -127, 64};
    CHECK(std::memcmp(codes.i8(), rounded, 3) == 0);
    CHECK_CLOSE(steps, {0.01}, 1e-7);
  });
}

TEST(quantisers_agree_on_every_instruction_set) {
  const Tensor x = random_tensor({37, 131}, 5, 0.02);
  Tensor first[5];
  for_each_isa([&] {
    Tensor now[5], step;
    CHECK_OK(ops::absmean_quantize(x, now[0], step));
    CHECK_OK(ops::absmean_fake_quantize(x, now[1]));
    CHECK_OK(ops::absmax_quantize(x, now[2], now[3]));
    CHECK_OK(ops::absmax_fake_quantize(x, now[4]));
    for (int i = 0; i < 5; ++i) {
      if (!first[i].defined()) first[i] = now[i];
      CHECK(same_bytes(now[i], first[i]));
    }
    for (int64_t i = 0; i < x.count(); ++i) {
      const float code = now[0].i8()[i];
      if (now[1].f32()[i] != code * *step.f32()) return report(__FILE__, __LINE__, "fake-quantised weight differs");
      const float wanted = static_cast<float>(now[2].i8()[i]) / (1 / now[3].f32()[i / 131]);
      if (std::fabs(now[4].f32()[i] - wanted) > 1e-6f * std::fabs(wanted)) {
        return report(__FILE__, __LINE__, "fake-quantised activation differs");
      }
    }
    // A ternary tensor is its own quantisation, and scaling changes no code.
    Tensor again, codes, doubled, half;
    CHECK_OK(ops::mul_scalar(x, 2, doubled));
    CHECK_OK(ops::absmean_quantize(doubled, codes, step));
    CHECK(same_bytes(codes, now[0]));
    CHECK_OK(ops::absmean_quantize(now[1], codes, half));
    CHECK(same_bytes(codes, now[0]));
  });
}

TEST(quantisers_keep_nan_visible_and_refuse_it_where_codes_leave) {
  for_each_isa([] {
    Tensor y, steps;
    const Tensor x = tensor_of({2, 3}, {1, NAN, 2, 4, 5, 6});
    CHECK_OK(ops::absmax_fake_quantize(x, y));
    CHECK(std::isnan(y.f32()[0]) && !std::isnan(y.f32()[3]));
    CHECK_OK(ops::absmean_fake_quantize(x, y));
    CHECK(std::isnan(y.f32()[0]) && std::isnan(y.f32()[5]));
    CHECK_FAILS(ops::absmax_quantize(x, y, steps), Code::argument, "element 1", "[2, 3]");
    CHECK_FAILS(ops::absmean_quantize(x, y, steps), Code::argument, "nan");
    const Tensor zeros = tensor_of({2, 3}, std::vector<double>(6, 0));
    CHECK_OK(ops::absmax_fake_quantize(zeros, y));
    CHECK_CLOSE(y, std::vector<double>(6, 0), 0);
    CHECK_OK(ops::absmean_fake_quantize(zeros, y));
    CHECK_CLOSE(y, std::vector<double>(6, 0), 0);
  });
}

TEST(packed_codes_come_back) {
  for_each_isa([] {
    for (const Shape& shape : {Shape{0, 5}, Shape{5, 0}, Shape{1, 1}, Shape{16, 16}, Shape{33, 70}, Shape{48, 256}}) {
      const Tensor codes = codes_of(shape, [](int64_t i) { return scrambled(i, 3) - 1; });
      const Tensor packed = packed_of(codes);
      CHECK(packed.shape() == (Shape{(shape[0] + 15) / 16, (shape[1] + 15) / 16, 64}));
      Tensor back;
      CHECK_OK(ops::ternary_unpack(packed, shape[0], shape[1], back));
      CHECK(same_bytes(back, codes));
    }
  });
}

TEST(sums_are_exactly_those_of_integers) {
  for_each_isa([] {
    struct Case {
      int64_t m, n, k;
      int fill;  // 0: scrambled; else x and w at their extremes
    };
    for (const Case& c : {Case{1, 1, 1, 0}, Case{1, 16, 256, 0}, Case{1, 33, 70, 0}, Case{2, 17, 15, 0},
                          Case{3, 40, 257, 0}, Case{7, 16, 512, 0}, Case{13, 50, 100, 0}, Case{50, 35, 48, 0},
                          Case{0, 5, 8, 0}, Case{4, 0, 8, 0}, Case{4, 5, 0, 0}, Case{1, 20, 4096, 1},
                          Case{7, 20, 4096, 2}, Case{2, 16, 262144, 3}}) {
      const Tensor w = codes_of({c.n, c.k}, [&](int64_t i) { return c.fill == 0 ? scrambled(i, 3) - 1 : c.fill == 1 ? -1 : 1; });
      const Tensor x = codes_of({c.m, c.k}, [&](int64_t i) {
        return c.fill == 0 ? scrambled(i + 7, 256) - 128 : c.fill == 3 ? 127 : -128;
      });
      Tensor sums;
      CHECK_OK(ops::ternary_accumulate(x, packed_of(w), c.n, sums));
      CHECK(sums.shape() == (Shape{c.m, c.n}));
      int64_t wrong = 0;
      for (int64_t row = 0; row < c.m; ++row) {
        for (int64_t column = 0; column < c.n; ++column) {
          int64_t exact = 0;
          for (int64_t i = 0; i < c.k; ++i) exact += int64_t{x.i8()[row * c.k + i]} * w.i8()[column * c.k + i];
          wrong += sums.i32()[row * c.n + column] != exact;
        }
      }
      if (wrong > 0) report(__FILE__, __LINE__, std::to_string(wrong) + " wrong sums for " + x.shape().text() + w.shape().text());
    }
  });
}

TEST(scaled_products_are_the_same_bytes_on_every_instruction_set) {
  Tensor first;
  const Tensor x = random_tensor({2, 7, 83}, 3), w = random_tensor({37, 83}, 4, 0.02);
  for_each_isa([&] {
    Tensor codes, step, x_codes, x_steps, y;
    CHECK_OK(ops::absmean_quantize(w, codes, step));
    CHECK_OK(ops::absmax_quantize(x, x_codes, x_steps));
    CHECK_OK(ops::ternary_matmul(x, packed_of(codes), step, 37, y));
    CHECK(y.shape() == (Shape{2, 7, 37}));
    std::vector<double> expected;
    for (int64_t i = 0; i < 14 * 37; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < 83; ++k) sum += x_codes.i8()[i / 37 * 83 + k] * codes.i8()[i % 37 * 83 + k];
      expected.push_back(sum * x_steps.f32()[i / 37] * *step.f32());
    }
    CHECK_CLOSE(y, expected, 2e-7);
    const Tensor steps = random_tensor({37}, 9);
    Tensor by_row;
    CHECK_OK(ops::ternary_matmul(x, packed_of(codes), steps, 37, by_row));
    for (size_t i = 0; i < expected.size(); ++i) expected[i] *= double{steps.f32()[i % 37]} / *step.f32();
    CHECK_CLOSE(by_row, expected, 2e-6);
    if (!first.defined()) first = y;
    CHECK(same_bytes(y, first));
  });
}

TEST(ternary_ops_refuse_bad_arguments) {
  Tensor y, packed = packed_of(codes_of({5, 20}, [](int64_t) { return 1; }));
  const Tensor step = tensor_of({1}, {1});
  CHECK_FAILS(ops::ternary_pack(codes_of({2, 2}, [](int64_t i) { return static_cast<int>(i); }), y), Code::argument, "code 2", "position 2");
  CHECK_FAILS(ops::ternary_pack(random_tensor({2, 2}, 1), y), Code::dtype, "i8");
  CHECK_FAILS(ops::ternary_pack(codes_of({4}, [](int64_t) { return 0; }), y), Code::shape, "[4]");
  CHECK_FAILS(ops::ternary_matmul(random_tensor({2, 33}, 1), packed, step, 5, y), Code::shape, "[1, 2, 64]", "[5, 33]");
  CHECK_FAILS(ops::ternary_matmul(random_tensor({2, 20}, 1), packed, step, 17, y), Code::shape, "[17, 20]");
  CHECK_FAILS(ops::ternary_matmul(random_tensor({2, 20}, 1), packed, tensor_of({2}, {1, 2}), 5, y), Code::shape, "[2]", "[5]");
  CHECK_FAILS(ops::ternary_matmul(random_tensor({}, 1), packed, step, 5, y), Code::shape, "no last axis");
  CHECK_FAILS(ops::ternary_accumulate(random_tensor({2, 20}, 1), packed, 5, y), Code::dtype, "i8");
  packed.u8()[3] = 0xff;
  CHECK_FAILS(ops::ternary_unpack(packed, 5, 20, y), Code::argument, "byte 3", "255");
}

}  // namespace forge::test
