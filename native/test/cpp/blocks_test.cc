#include <cstring>

#include "check.h"
#include "ops/ops.h"

/** GGUF block formats: bytes that ggml's own quantisers gave (ggml d99724f). */
namespace forge::test {
namespace {

constexpr int64_t f16 = 0, q8_0 = 1, tq1_0 = 2, tq2_0 = 3;

/** CRC-32 (IEEE 802.3), bit by bit. */
uint32_t crc32(const Tensor& bytes) {
  uint32_t crc = ~0u;
  for (int64_t i = 0; i < bytes.count(); ++i) {
    crc ^= bytes.u8()[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
  }
  return ~crc;
}

std::string hex(const Tensor& bytes, int64_t begin, int64_t end) {
  std::string text;
  for (int64_t i = begin; i < end; ++i) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", bytes.u8()[i]);
    text += two;
  }
  return text;
}

Tensor encoded(const Tensor& x, int64_t format) {
  Tensor blocks;
  CHECK_OK(ops::encode_blocks(x, format, blocks));
  return blocks;
}

Tensor decoded(const Tensor& blocks, int64_t format) {
  Tensor x;
  CHECK_OK(ops::decode_blocks(blocks, format, x));
  return x;
}

Tensor block_of(const std::function<double(int)>& f) {
  std::vector<double> x;
  for (int i = 0; i < 256; ++i) x.push_back(f(i));
  return tensor_of({256}, x);
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), static_cast<size_t>(a.bytes())) == 0;
}

}  // namespace

TEST(ternary_blocks_are_those_of_ggml) {
  for_each_isa([] {
    const Tensor cycle = block_of([](int i) { return i % 3 - 1; });
    const Tensor one = encoded(cycle, tq1_0), two = encoded(cycle, tq2_0);
    std::string start;
    for (int i = 0; i < 10; ++i) start += "456ccf";
    CHECK(hex(one, 0, 32) == start + "456c");
    CHECK(hex(one, 32, 54) == "94bb3194bb3194bb3194bb3194bb31943092bb30003c");
    CHECK(crc32(one) == 0xb22f5b39);
    CHECK(hex(two, 0, 6) == "186186186186" && hex(two, 63, 66) == "18003c");
    CHECK(crc32(two) == 0xdb8f8b3b);
    const Tensor quarter = block_of([](int i) { return 0.25 * (const int[]){-1, 0, 1, 1, 0, -1, 0}[i % 7]; });
    CHECK(crc32(encoded(quarter, tq1_0)) == 0xfe47c8ed && crc32(encoded(quarter, tq2_0)) == 0x57cb4b97);
    CHECK(hex(encoded(quarter, tq2_0), 64, 66) == "0034");
    const Tensor ramp = block_of([](int i) { return -1 + i * (2.0 / 255); });
    CHECK(crc32(encoded(ramp, tq1_0)) == 0x75786bf8 && crc32(encoded(ramp, tq2_0)) == 0x097d819e);
  });
}

TEST(ternary_blocks_keep_ternary_rows_and_encode_again_to_the_same_bytes) {
  for_each_isa([] {
    for (const int64_t format : {q8_0, tq1_0, tq2_0}) {
      Tensor x = random_tensor({3, 5, 512}, 1);
      if (format != q8_0) {
        for (int64_t i = 0; i < x.count(); ++i) x.f32()[i] = 0.375f * static_cast<float>((i * 7 + i / 11) % 3 - 1);
      }
      const Tensor blocks = encoded(x, format), back = decoded(blocks, format);
      CHECK(back.shape() == x.shape());
      CHECK_CLOSE(back, values(x), format == q8_0 ? 2e-2 : 0);
      CHECK(same_bytes(decoded(encoded(back, format), format), back));
    }
    const Tensor nothing = random_tensor({0, 256}, 1);
    CHECK(encoded(nothing, tq1_0).shape() == (Shape{0, 54}) && decoded(encoded(nothing, tq1_0), tq1_0).shape() == (Shape{0, 256}));
  });
}

TEST(f16_is_exact_for_every_half_and_rounds_to_even) {
  for_each_isa([] {
    Tensor all;
    CHECK_OK(empty("test", DType::u8, {2 * 65536}, all));
    for (int i = 0; i < 65536; ++i) {
      all.u8()[2 * i] = static_cast<uint8_t>(i);
      all.u8()[2 * i + 1] = static_cast<uint8_t>(i >> 8);
    }
    const Tensor wide = decoded(all, f16);
    int wrong = 0;
    for (int i = 0; i < 65536; ++i) {
      const int exponent = i >> 10 & 31, mantissa = i & 1023, sign = i >> 15;
      double expected = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
      if (exponent == 31) expected = mantissa == 0 ? INFINITY : NAN;
      const double got = sign != 0 ? -double{wide.f32()[i]} : double{wide.f32()[i]};
      wrong += std::isnan(expected) ? !std::isnan(got) : got != expected;
    }
    CHECK(wrong == 0);
    std::vector<double> finite;
    for (int i = 0; i < 65536; ++i) {
      if ((i >> 10 & 31) != 31) finite.push_back(double{wide.f32()[i]});
    }
    const Tensor halves = tensor_of({static_cast<int64_t>(finite.size())}, finite);
    CHECK_CLOSE(decoded(encoded(halves, f16), f16), finite, 0);
    const Tensor ties = tensor_of({6}, {1 + 0x1p-11, 1 + 3 * 0x1p-11, 0x1p-25, 3 * 0x1p-25, 65519, -0.0});
    CHECK_CLOSE(decoded(encoded(ties, f16), f16), (std::vector<double>{1, 1 + 0x1p-9, 0, 0x1p-23, 65504, 0}), 0);
    CHECK(hex(encoded(ties, f16), 10, 12) == "0080");
  });
}

TEST(blocks_refuse_what_they_cannot_hold) {
  Tensor y;
  CHECK_FAILS(ops::encode_blocks(random_tensor({2, 255}, 1), tq2_0, y), Code::shape, "[2, 255]", "256", "TQ2_0");
  CHECK_FAILS(ops::encode_blocks(tensor_of({2}, {1, 65520}), f16, y), Code::argument, "element 1", "65520");
  CHECK_FAILS(ops::encode_blocks(tensor_of({2}, {NAN, 1}), f16, y), Code::argument, "element 0", "finite");
  CHECK_FAILS(ops::encode_blocks(random_tensor({32}, 1), 4, y), Code::argument, "code 4");
  CHECK_FAILS(ops::encode_blocks(tensor_of_i32({32}, std::vector<int32_t>(32)), q8_0, y), Code::dtype, "i32");
  CHECK_FAILS(ops::decode_blocks(random_tensor({34}, 1), q8_0, y), Code::dtype, "f32", "u8");
  Tensor bytes;
  CHECK_OK(ops::full(DType::u8, {2, 33}, 0, bytes));
  CHECK_FAILS(ops::decode_blocks(bytes, q8_0, y), Code::shape, "[2, 33]", "34");
}

}  // namespace forge::test
