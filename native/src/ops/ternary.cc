#include "core/allocator.h"
#include "core/backend.h"
#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

constexpr int64_t most_columns = 1 << 18;  // shifted sums of 2·2^6·128·K/4 fit an int32

constexpr int64_t blocks_of(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }

Shape packed_shape(int64_t rows, int64_t columns) {
  return {blocks_of(rows, ternary_panel), blocks_of(columns, ternary_chunk), ternary_chunk_bytes};
}

Status check_packed(const char* op, const Tensor& packed, int64_t rows, int64_t columns) {
  FORGE_TRY(expect_dtype(op, "packed", packed, DType::u8));
  if (rows < 0 || columns < 0 || columns > most_columns) {
    return failure(Code::argument, "%s: weights [%lld, %lld], needs 0 or more rows and 0 to %lld columns", op,
                   static_cast<long long>(rows), static_cast<long long>(columns), static_cast<long long>(most_columns));
  }
  const Shape wanted = packed_shape(rows, columns);
  if (packed.shape() == wanted) return {};
  return failure(Code::shape, "%s: packed %s does not hold weights [%lld, %lld], which pack to %s", op,
                 packed.shape().text().c_str(), static_cast<long long>(rows), static_cast<long long>(columns),
                 wanted.text().c_str());
}

/** Int8 rows as the kernels read them, in scratch: padded codes, then one sum and one step per row. */
struct Rows {
  Scratch memory;
  int64_t count, width, stride;
  int8_t* codes;
  int32_t* sums;
  float* steps;

  Status reserve(const char* op, const Tensor& x) {
    if (x.shape().rank < 1) return failure(Code::shape, "%s: %s has no last axis", op, x.shape().text().c_str());
    count = x.shape().count(0, x.shape().rank - 1);
    width = x.shape().last();
    stride = blocks_of(width, ternary_chunk) * ternary_chunk;
    FORGE_TRY(memory.reserve(op, count * (stride + 8) + 1));
    sums = reinterpret_cast<int32_t*>(memory.f32());
    steps = memory.f32() + count;
    codes = reinterpret_cast<int8_t*>(steps + count);
    return {};
  }

  TernaryMatmul product(const Tensor& packed, int64_t n) const {
    return {count, n, width, codes, stride, sums, packed.u8(), nullptr, nullptr, steps, nullptr, false};
  }
};

}  // namespace

Status ternary_pack(const Tensor& codes, Tensor& packed) {
  constexpr const char* op = "ternaryPack";
  FORGE_TRY(expect_dtype(op, "codes", codes, DType::i8));
  if (codes.shape().rank != 2 || codes.shape()[1] > most_columns) {
    return failure(Code::shape, "%s: codes %s, needs [N, K] with K up to %lld", op, codes.shape().text().c_str(),
                   static_cast<long long>(most_columns));
  }
  if (const int64_t at = kernels().first_bad_code(codes.u8(), codes.count(), false); at >= 0) {
    int8_t code = 0;
    copy_out(&code, codes.i8() + at, 1);
    return failure(Code::argument, "%s: code %d at position %lld of %s, needs -1, 0 or 1", op, code,
                   static_cast<long long>(at), codes.shape().text().c_str());
  }
  Tensor result;
  FORGE_TRY(empty(op, DType::u8, packed_shape(codes.shape()[0], codes.shape()[1]), result));
  kernels().ternary_pack(codes.i8(), result.u8(), codes.shape()[0], codes.shape()[1]);
  packed = std::move(result);
  return {};
}

Status ternary_unpack(const Tensor& packed, int64_t rows, int64_t columns, Tensor& codes) {
  constexpr const char* op = "ternaryUnpack";
  FORGE_TRY(check_packed(op, packed, rows, columns));
  if (const int64_t at = kernels().first_bad_code(packed.u8(), packed.count(), true); at >= 0) {
    uint8_t byte = 0;
    copy_out(&byte, packed.u8() + at, 1);
    return failure(Code::argument, "%s: byte %lld is %d: its two-bit codes must be 0, 1 or 2", op,
                   static_cast<long long>(at), byte);
  }
  Tensor result;
  FORGE_TRY(empty(op, DType::i8, {rows, columns}, result));
  kernels().ternary_unpack(packed.u8(), result.i8(), rows, columns);
  codes = std::move(result);
  return {};
}

Status ternary_accumulate(const Tensor& codes, const Tensor& packed, int64_t rows, Tensor& sums) {
  constexpr const char* op = "ternaryAccumulate";
  FORGE_TRY(expect_dtype(op, "codes", codes, DType::i8));
  Rows x;
  FORGE_TRY(x.reserve(op, codes));
  FORGE_TRY(check_packed(op, packed, rows, x.width));
  Tensor result;
  FORGE_TRY(empty(op, DType::i32, codes.shape().with_last(rows), result));
  kernels().pad_codes(codes.i8(), x.codes, x.stride, x.sums, x.count, x.width);
  TernaryMatmul product = x.product(packed, rows);
  product.accumulators = result.i32();
  kernels().ternary_matmul(product);
  sums = std::move(result);
  return {};
}

Status ternary_matmul(const Tensor& x, const Tensor& packed, const Tensor& steps, int64_t rows, Tensor& y) {
  constexpr const char* op = "ternaryMatmul";
  FORGE_TRY(expect_f32(op, {&x, &steps}));
  Rows quantized;
  FORGE_TRY(quantized.reserve(op, x));
  FORGE_TRY(check_packed(op, packed, rows, quantized.width));
  if (!(steps.shape() == Shape{1}) && !(steps.shape() == Shape{rows})) {
    return failure(Code::shape, "%s: steps %s, needs [1] or [%lld]", op, steps.shape().text().c_str(),
                   static_cast<long long>(rows));
  }
  Tensor result;
  FORGE_TRY(empty(op, DType::f32, x.shape().with_last(rows), result));
  kernels().absmax_codes(x.f32(), quantized.codes, quantized.stride, quantized.steps, quantized.sums, quantized.count,
                         quantized.width);
  TernaryMatmul product = quantized.product(packed, rows);
  product.y = result.f32();
  product.w_steps = steps.f32();
  product.has_step_per_column = steps.count() > 1;
  kernels().ternary_matmul(product);
  y = std::move(result);
  return {};
}

}  // namespace forge::ops
