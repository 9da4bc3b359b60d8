#include <cmath>

#include "cases.h"
#include "core/backend.h"
#include "ops/ops.h"

/** Codes, block formats and ternary products. */
namespace forge::conformance {
namespace {

/** Whether an op that must find a bad element names its position. */
double names_position(const Status& status, const char* position) {
  return status.code() == Code::argument && status.message().find(position) != std::string::npos ? 1 : 0;
}

void quantisers(List& list) {
  for (const Shape& shape : {Shape{16, 64}, Shape{5, 1237}, Shape{3, 1}, Shape{0, 8}, Shape{4, 0}}) {
    list.add("absmeanQuantize", exact, shape.text(), [=](Trial& t) {
      Tensor codes, step;
      t.check(ops::absmean_quantize(t.normal(shape, 0.02), codes, step));
      t.out(codes);
      t.out(step);
    });
    list.add("absmeanFakeQuantize", exact, shape.text(), [=](Trial& t) {
      Tensor y;
      t.check(ops::absmean_fake_quantize(t.normal(shape, 0.02), y));
      t.out(y);
    });
    list.add("absmaxQuantize", exact, shape.text(), [=](Trial& t) {
      Tensor codes, steps;
      t.check(ops::absmax_quantize(t.normal(shape, 3), codes, steps));
      t.out(codes);
      t.out(steps);
    });
    list.add("absmaxFakeQuantize", exact, shape.text(), [=](Trial& t) {
      Tensor y;
      t.check(ops::absmax_fake_quantize(t.normal(shape, 3), y));
      t.out(y);
    });
  }
  list.add("absmaxQuantize", exact, "ties and zeros; what is not finite is found", [](Trial& t) {
    Tensor codes, steps;
    t.check(ops::absmax_quantize(t.floats({2, 6}, {127, 0.5f, 1.5f, -0.5f, -2.5f, 63.5f, 0, 0, -0.0f, 0, 0, 0}), codes, steps));
    t.out(codes);
    t.out(steps);
    for (const float bad : {NAN, INFINITY}) {
      t.out(names_position(ops::absmax_quantize(t.floats({1, 4}, {0, 1, bad, bad}), codes, steps), "element 2"));
    }
  });
  list.add("absmaxFakeQuantize", exact, "a NaN makes its row NaN", [](Trial& t) {
    Tensor y;
    t.check(ops::absmax_fake_quantize(t.floats({2, 3}, {1, NAN, 2, 3, 4, 5}), y));
    t.out(y);
  });
  for (const int64_t format : {0, 1, 2, 3}) {
    const BlockSize block = block_sizes[format];
    for (const int64_t blocks : {1, 7, 0}) {
      const std::string size = std::to_string(blocks) + " blocks of format " + std::to_string(format);
      list.add("encodeBlocks", exact, size, [=](Trial& t) {
        for (const double scale : {1.0, 1e-5, 3e-8}) {
          Tensor y;
          t.check(ops::encode_blocks(t.normal({2, blocks * block.elements}, scale), format, y));
          t.out(y);
        }
      });
      list.add("decodeBlocks", exact, size, [=](Trial& t) {
        Tensor y;
        t.check(ops::decode_blocks(t.bytes(DType::u8, {2, blocks * block.bytes}), format, y));
        t.out(y);
      });
    }
    list.add("encodeBlocks", exact, "zeros; too large, format " + std::to_string(format), [=](Trial& t) {
      std::vector<float> values(static_cast<size_t>(block.elements), 0.0f);
      Tensor y;
      t.check(ops::encode_blocks(t.floats({block.elements}, values), format, y));
      t.out(y);
      values.back() = 9e6f;
      t.out(names_position(ops::encode_blocks(t.floats({block.elements}, values), format, y),
                           ("element " + std::to_string(block.elements - 1)).c_str()));
    });
  }
  list.add("decodeBlocks", exact, "halves of every exponent", [](Trial& t) {
    std::vector<int32_t> halves;
    for (int32_t half = 0; half < 0x10000; half += 0x7f) halves.push_back(half | (half ^ 0x8000) << 16);
    const auto n = static_cast<int64_t>(halves.size());
    Tensor bytes, y;
    t.check(empty("conformance", DType::u8, {4 * n}, bytes));
    copy_in(bytes.data(), halves.data(), bytes.bytes());
    t.check(ops::decode_blocks(bytes, 0, y));
    t.out(y);
  });
}

/** Codes −1, 0, 1. */
Tensor ternary_codes(Trial& t, const Shape& shape) {
  Tensor codes, step;
  t.check(ops::absmean_quantize(t.normal(shape), codes, step));
  return codes;
}

void ternary(List& list) {
  for (const Shape& shape : {Shape{32, 64}, Shape{19, 21}, Shape{1, 1}, Shape{0, 16}, Shape{5, 0}, Shape{40, 700}}) {
    const int64_t n = shape[0], k = shape[1];
    list.add("ternaryPack", exact, shape.text(), [=](Trial& t) {
      Tensor packed;
      t.check(ops::ternary_pack(ternary_codes(t, shape), packed));
      t.out(packed);
    });
    list.add("ternaryUnpack", exact, shape.text(), [=](Trial& t) {
      Tensor packed, codes;
      t.check(ops::ternary_pack(ternary_codes(t, shape), packed));
      if (!t.status().ok()) return;
      t.check(ops::ternary_unpack(packed, n, k, codes));
      t.out(codes);
    });
    for (const int64_t m : {1, 6, 0}) {
      const std::string size = std::to_string(m) + " rows by " + shape.text();
      list.add("ternaryAccumulate", exact, size, [=](Trial& t) {
        Tensor packed, sums;
        t.check(ops::ternary_pack(ternary_codes(t, shape), packed));
        if (!t.status().ok()) return;
        t.check(ops::ternary_accumulate(t.bytes(DType::i8, {m, k}), packed, n, sums));
        t.out(sums);
        t.check(ops::ternary_accumulate(t.bytes(DType::i8, {m, k}), t.unaligned(packed), n, sums));
        t.out(sums);
      });
      list.add("ternaryMatmul", exact, size, [=](Trial& t) {
        Tensor packed, y;
        t.check(ops::ternary_pack(ternary_codes(t, shape), packed));
        if (!t.status().ok()) return;
        t.check(ops::ternary_matmul(t.normal({m, k}), packed, t.floats({1}, {0.02f}), n, y));
        t.out(y);
        t.check(ops::ternary_matmul(t.normal({m, k}), packed, t.uniform({n}, 0.01, 0.1), n, y));
        t.out(y);
      });
    }
  }
  list.add("ternaryPack", exact, "another code is found", [](Trial& t) {
    Tensor packed;
    t.out(names_position(ops::ternary_pack(t.bytes(DType::i8, {3, 5}), packed), "position 0"));
  });
  list.add("ternaryUnpack", exact, "another code is found", [](Trial& t) {
    Tensor codes;
    t.out(names_position(ops::ternary_unpack(t.bytes(DType::u8, {1, 1, 64}), 3, 5, codes), "byte "));
  });
}

}  // namespace

void quantize_cases(List& list) {
  quantisers(list);
  ternary(list);
}

}  // namespace forge::conformance
