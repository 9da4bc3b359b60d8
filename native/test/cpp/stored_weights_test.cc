#include "ops/stored_weights.h"

#include <cstdio>
#include <cstring>

#include "check.h"

/** Weights of files: every bf16 and f16 against its definition, rounding at and around ties, files that end. */
namespace forge::test {
namespace {

constexpr int64_t f32 = 0, f16 = 1, bf16 = 2;

/** A file that is gone when it is closed, with these bytes after `skip` others. */
struct Weights {
  std::FILE* file = std::tmpfile();
  Weights(const void* bytes, size_t size, size_t skip) {
    for (size_t i = 0; i < skip; ++i) std::fputc(0x55, file);
    std::fwrite(bytes, 1, size, file);
    std::fflush(file);
  }
  ~Weights() { std::fclose(file); }
};

float bits_as_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

/** IEEE 754 binary16 by its definition. */
double value_of_half(uint32_t half) {
  const double sign = half & 0x8000 ? -1 : 1;
  const int exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
  return exponent == 0 ? sign * std::ldexp(fraction, -24) : sign * std::ldexp(1024 + fraction, exponent - 25);
}

Tensor read(const std::vector<uint16_t>& stored, int64_t type, size_t skip) {
  const Weights weights(stored.data(), 2 * stored.size(), skip);
  Tensor x;
  CHECK_OK(ops::read_weights(fileno(weights.file), static_cast<int64_t>(skip), type,
                             {static_cast<int64_t>(stored.size())}, x));
  return x;
}

std::vector<uint16_t> encoded(const Tensor& x, int64_t type, int64_t begin = 0) {
  std::vector<uint16_t> stored(static_cast<size_t>(x.count() - begin));
  CHECK_OK(ops::encode_weights(x, type, begin, stored.data(), 2 * (x.count() - begin)));
  return stored;
}

}  // namespace

TEST(every_stored_value_is_read_exactly_and_comes_back) {
  for_each_isa([] {
    std::vector<uint16_t> all;
    for (uint32_t bits = 0; bits < 0x10000; ++bits) all.push_back(static_cast<uint16_t>(bits));
    all.push_back(0x3f80);  // an odd number of them
    const Tensor wide = read(all, bf16, 3), half = read(all, f16, 0);
    int64_t wrong = 0;
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      uint32_t found;
      std::memcpy(&found, wide.f32() + bits, 4);
      wrong += found != bits << 16;
      if ((bits & 0x7c00) != 0x7c00) wrong += half.f32()[bits] != value_of_half(bits);
    }
    CHECK(wrong == 0);
    const std::vector<uint16_t> again = encoded(wide, bf16), halves = encoded(half, f16);
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      if ((bits & 0x7fff) <= 0x7f80) wrong += again[bits] != bits;
      else wrong += (again[bits] & 0x7fff) <= 0x7f80;
      if ((bits & 0x7fff) <= 0x7c00) wrong += halves[bits] != bits;
      else wrong += (halves[bits] & 0x7fff) <= 0x7c00;
    }
    CHECK(wrong == 0);
  });
}

TEST(stored_values_are_the_nearest_with_ties_to_even) {
  for_each_isa([] {
    const double one_bf16 = std::ldexp(1.0, -7), one_f16 = std::ldexp(1.0, -10);
    const Tensor x = tensor_of({5}, {1 + one_bf16 / 2, 1 + 1.5 * one_bf16, 1 + 0.51 * one_bf16, -1 - one_bf16 / 2, 3.4e38});
    const std::vector<uint16_t> wide{0x3f80, 0x3f82, 0x3f81, 0xbf80, 0x7f80};
    CHECK(encoded(x, bf16) == wide);
    const Tensor y = tensor_of({4}, {1 + one_f16 / 2, 1 + 1.5 * one_f16, 65520, std::ldexp(1.0, -25)});
    CHECK(encoded(y, f16, 1) == (std::vector<uint16_t>{0x3c02, 0x7c00, 0x0000}));
  });
}

TEST(long_tensors_are_read_and_written_in_pieces) {
  std::vector<float> values(100'003);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) * 0.37f - 1e4f;
  const Weights weights(values.data(), 4 * values.size(), 16);
  Tensor x;
  CHECK_OK(ops::read_weights(fileno(weights.file), 16, f32, {100'003}, x));
  CHECK(std::memcmp(x.f32(), values.data(), 4 * values.size()) == 0);
  std::vector<float> part(50'000);
  CHECK_OK(ops::encode_weights(x, f32, 40'001, part.data(), 200'000));
  CHECK(std::memcmp(part.data(), values.data() + 40'001, 200'000) == 0);
}

TEST(files_that_end_and_types_that_are_not_are_refused) {
  const float one = bits_as_float(0x3f800000);
  const Weights weights(&one, 4, 0);
  const int64_t file = fileno(weights.file);
  Tensor x;
  CHECK(ops::read_weights(file, 0, f32, {2}, x).code() == Code::argument);
  CHECK(ops::read_weights(file, 0, 3, {1}, x).code() == Code::argument);
  CHECK(ops::read_weights(file, -1, f32, {1}, x).code() == Code::argument);
  CHECK(ops::read_weights(1 << 20, 0, f32, {1}, x).code() == Code::argument);
  CHECK(!x.defined());
  CHECK_OK(ops::prefetch_file(file, 0, 4));
  CHECK(ops::prefetch_file(file, -1, 4).code() == Code::argument);
  CHECK_OK(ops::read_weights(file, 4, bf16, {0, 7}, x));
  CHECK_OK(ops::read_weights(file, 0, f32, {1}, x));
  uint8_t bytes[8];
  CHECK(ops::encode_weights(x, f32, 0, bytes, 8).code() == Code::shape);
  CHECK(ops::encode_weights(x, f32, -1, bytes, 4).code() == Code::shape);
  CHECK(ops::encode_weights(x, bf16, 0, bytes, 1).code() == Code::shape);
}

}  // namespace forge::test
