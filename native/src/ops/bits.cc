#include <cstring>

#include "ops/ops.h"

namespace forge::ops {
namespace {

Status check_width(const char* op, int64_t width) {
  if (width >= 1 && width <= 31) return {};
  return failure(Code::argument, "%s: %lld bits a value, needs 1 to 31", op, static_cast<long long>(width));
}

int64_t bytes_for(int64_t count, int64_t width) { return (count * width + 7) / 8; }

template <class T>
Status pack(const T* values, int64_t count, int64_t width, bool is_signed, uint8_t* bytes) {
  const int64_t least = is_signed ? -(int64_t{1} << (width - 1)) : 0;
  const int64_t most = is_signed ? -least - 1 : (int64_t{1} << width) - 1;
  uint64_t pending = 0;
  int64_t held = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (values[i] < least || values[i] > most) {
      return failure(Code::argument, "packBits: %lld at position %lld, needs %lld to %lld",
                     static_cast<long long>(values[i]), static_cast<long long>(i), static_cast<long long>(least),
                     static_cast<long long>(most));
    }
    pending |= (static_cast<uint64_t>(values[i]) & ((uint64_t{1} << width) - 1)) << held;
    for (held += width; held >= 8; held -= 8, pending >>= 8) *bytes++ = static_cast<uint8_t>(pending);
  }
  if (held > 0) *bytes = static_cast<uint8_t>(pending);
  return {};
}

}  // namespace

Status pack_bits(const Tensor& values, int64_t width, bool is_signed, Tensor& bytes) {
  constexpr const char* op = "packBits";
  FORGE_TRY(check_width(op, width));
  Tensor result;
  FORGE_TRY(empty(op, DType::u8, {bytes_for(values.count(), width)}, result));
  switch (values.dtype()) {
    case DType::i32: FORGE_TRY(pack(values.i32(), values.count(), width, is_signed, result.u8())); break;
    case DType::i8: FORGE_TRY(pack(values.i8(), values.count(), width, is_signed, result.u8())); break;
    case DType::u8: FORGE_TRY(pack(values.u8(), values.count(), width, is_signed, result.u8())); break;
    default: return failure(Code::dtype, "%s: values are %s, needs i32, i8 or u8", op, name_of(values.dtype()));
  }
  bytes = std::move(result);
  return {};
}

Status unpack_bits(const Tensor& bytes, int64_t count, int64_t width, bool is_signed, Tensor& values) {
  constexpr const char* op = "unpackBits";
  FORGE_TRY(expect_dtype(op, "bytes", bytes, DType::u8));
  FORGE_TRY(check_width(op, width));
  if (count < 0 || count > int64_t{1} << 40 || bytes.count() != bytes_for(count, width)) {
    return failure(Code::shape, "%s: %lld bytes do not hold %lld values of %lld bits", op,
                   static_cast<long long>(bytes.count()), static_cast<long long>(count), static_cast<long long>(width));
  }
  Tensor result;
  FORGE_TRY(empty(op, DType::i32, {count}, result));
  const uint8_t* from = bytes.u8();
  const uint32_t mask = (uint32_t{1} << width) - 1, sign = is_signed ? uint32_t{1} << (width - 1) : 0;
  uint64_t pending = 0;
  int64_t held = 0;
  for (int64_t i = 0; i < count; ++i) {
    for (; held < width; held += 8) pending |= uint64_t{*from++} << held;
    const uint32_t value = static_cast<uint32_t>(pending) & mask;
    result.i32()[i] = static_cast<int32_t>(value ^ sign) - static_cast<int32_t>(sign);
    pending >>= width;
    held -= width;
  }
  values = std::move(result);
  return {};
}

}  // namespace forge::ops
