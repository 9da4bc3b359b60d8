#include "core/kernels.h"
#include "ops/finite.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

struct Format {
  const char* name;
  /** Magnitudes from here on round to an infinite half, in an element or in the scale of a block. */
  float limit;
};
constexpr float half_limit = 65520.0f;
constexpr Format formats[] = {
    {"F16", half_limit}, {"Q8_0", 127 * half_limit}, {"TQ1_0", half_limit}, {"TQ2_0", half_limit}};

Status check_format(const char* op, int64_t format) {
  if (format >= 0 && format < static_cast<int64_t>(std::size(formats))) return {};
  return failure(Code::argument, "%s: no block format has code %lld", op, static_cast<long long>(format));
}

/** Blocks in x, `unit` elements each, along its last axis. */
Status count_blocks(const char* op, const Tensor& x, int64_t unit, const char* format, int64_t& blocks) {
  if (x.shape().rank >= 1 && x.shape().last() % unit == 0) {
    blocks = x.count() / unit;
    return {};
  }
  return failure(Code::shape, "%s: the last axis of %s %s is not a multiple of %lld, the block of %s", op,
                 name_of(x.dtype()), x.shape().text().c_str(), static_cast<long long>(unit), format);
}

}  // namespace

Status encode_blocks(const Tensor& x, int64_t format, Tensor& blocks) {
  constexpr const char* op = "encodeBlocks";
  FORGE_TRY(check_format(op, format));
  FORGE_TRY(expect_f32(op, {&x}));
  const BlockSize size = block_sizes[format];
  int64_t count = 0;
  FORGE_TRY(count_blocks(op, x, size.elements, formats[format].name, count));
  FORGE_TRY(expect_finite(op, x, formats[format].limit));
  Tensor result;
  FORGE_TRY(empty(op, DType::u8, x.shape().with_last(x.shape().last() / size.elements * size.bytes), result));
  kernels().encode_blocks(static_cast<BlockFormat>(format), x.f32(), result.u8(), count);
  blocks = std::move(result);
  return {};
}

Status decode_blocks(const Tensor& blocks, int64_t format, Tensor& y) {
  constexpr const char* op = "decodeBlocks";
  FORGE_TRY(check_format(op, format));
  FORGE_TRY(expect_dtype(op, "blocks", blocks, DType::u8));
  const BlockSize size = block_sizes[format];
  int64_t count = 0;
  FORGE_TRY(count_blocks(op, blocks, size.bytes, formats[format].name, count));
  Tensor result;
  FORGE_TRY(empty(op, DType::f32, blocks.shape().with_last(blocks.shape().last() / size.bytes * size.elements), result));
  kernels().decode_blocks(static_cast<BlockFormat>(format), blocks.u8(), result.f32(), count);
  y = std::move(result);
  return {};
}

}  // namespace forge::ops
