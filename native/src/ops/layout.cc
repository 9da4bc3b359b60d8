#include <cmath>
#include <cstring>

#include "core/allocator.h"
#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status check_axis(const char* op, int64_t axis, const Tensor& x) {
  if (axis >= 0 && axis < x.shape().rank) return {};
  return failure(Code::argument, "%s: axis %lld of %s", op, static_cast<long long>(axis), x.shape().text().c_str());
}

/** Nearest bf16, ties to even. */
uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if (value != value) return 0x7fc0;
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

template <class T>
void fill(const Tensor& y, T value) {
  kernels().fill(y.data(), y.count(), &value, sizeof value);
}

/** dst := src, both `bytes` long; they may share elements. */
Status move_bytes(const char* op, const Tensor& dst, void* to, const Tensor& src) {
  if (to == src.data()) return {};
  Scratch copy;
  const void* from = src.data();
  if (dst.overlaps(src)) {
    FORGE_TRY(copy.reserve(op, src.bytes()));
    kernels().copy_runs(copy.f32(), 0, from, 0, src.bytes(), 1);
    from = copy.f32();
  }
  kernels().copy_runs(to, 0, from, 0, src.bytes(), 1);
  return {};
}

}  // namespace

Status slice(const Tensor& x, int64_t axis, int64_t start, int64_t end, Tensor& y) {
  FORGE_TRY(check_axis("slice", axis, x));
  const int at = static_cast<int>(axis);
  if (start < 0 || end < start || end > x.shape()[at]) {
    return failure(Code::argument, "slice: %lld to %lld on axis %d of %s", static_cast<long long>(start),
                   static_cast<long long>(end), at, x.shape().text().c_str());
  }
  Shape shape = x.shape();
  shape.dims[at] = end - start;
  Tensor result;
  FORGE_TRY(empty("slice", x.dtype(), shape, result));
  const int64_t inner = x.shape().count(at + 1, shape.rank) * size_of(x.dtype());
  kernels().copy_runs(result.data(), (end - start) * inner, static_cast<char*>(x.data()) + start * inner,
                      x.shape()[at] * inner, (end - start) * inner, shape.count(0, at));
  y = std::move(result);
  return {};
}

Status concat(const TensorList& xs, int64_t axis, Tensor& y) {
  if (xs.empty()) return failure(Code::argument, "concat: no tensors");
  FORGE_TRY(check_axis("concat", axis, xs[0]));
  const int at = static_cast<int>(axis);
  Shape shape = xs[0].shape();
  shape.dims[at] = 0;
  for (const Tensor& x : xs) {
    FORGE_TRY(expect_dtype("concat", "an input", x, xs[0].dtype()));
    if (x.shape().rank != shape.rank || !(x.shape().without(at) == shape.without(at))) {
      return failure(Code::shape, "concat: %s and %s differ outside axis %d", xs[0].shape().text().c_str(),
                     x.shape().text().c_str(), at);
    }
    shape.dims[at] += x.shape()[at];
  }
  Tensor result;
  FORGE_TRY(empty("concat", xs[0].dtype(), shape, result));
  const int64_t inner = shape.count(at + 1, shape.rank) * size_of(xs[0].dtype());
  char* to = static_cast<char*>(result.data());
  for (const Tensor& x : xs) {
    const int64_t bytes = x.shape()[at] * inner;
    kernels().copy_runs(to, shape[at] * inner, x.data(), bytes, bytes, shape.count(0, at));
    to += bytes;
  }
  y = std::move(result);
  return {};
}

Status copy(const Tensor& dst, const Tensor& src) {
  FORGE_TRY(expect_dtype("copy", "src", src, dst.dtype()));
  if (dst.count() != src.count()) {
    return failure(Code::shape, "copy: dst %s and src %s have different element counts", dst.shape().text().c_str(),
                   src.shape().text().c_str());
  }
  return move_bytes("copy", dst, dst.data(), src);
}

Status copy_rows(const Tensor& dst, const Tensor& src, int64_t at_row) {
  FORGE_TRY(expect_dtype("copyRows", "src", src, dst.dtype()));
  if (dst.shape().rank == 0 || src.shape().rank == 0 || !(dst.shape().without(0) == src.shape().without(0))) {
    return failure(Code::shape, "copyRows: rows of dst %s and src %s differ", dst.shape().text().c_str(),
                   src.shape().text().c_str());
  }
  if (at_row < 0 || at_row > dst.shape()[0] - src.shape()[0]) {
    return failure(Code::argument, "copyRows: src %s at row %lld does not fit dst %s", src.shape().text().c_str(),
                   static_cast<long long>(at_row), dst.shape().text().c_str());
  }
  const int64_t row_bytes = dst.shape().count(1, dst.shape().rank) * size_of(dst.dtype());
  return move_bytes("copyRows", dst, static_cast<char*>(dst.data()) + at_row * row_bytes, src);
}

Status full(DType dtype, const Shape& shape, double value, Tensor& y) {
  double low = 0, high = 0;
  if (dtype == DType::i32) low = -2147483648.0, high = 2147483647.0;
  if (dtype == DType::u8) high = 255;
  if (dtype == DType::i8) low = -128, high = 127;
  if (low < high && !(value >= low && value <= high && value == std::floor(value))) {
    return failure(Code::argument, "full: %g is not a value of %s", value, name_of(dtype));
  }
  Tensor result;
  FORGE_TRY(empty("full", dtype, shape, result));
  switch (dtype) {
    case DType::f32: fill(result, static_cast<float>(value)); break;
    case DType::i32: fill(result, static_cast<int32_t>(value)); break;
    case DType::bf16: fill(result, to_bf16(static_cast<float>(value))); break;
    case DType::f64: fill(result, value); break;
    case DType::u8: fill(result, static_cast<uint8_t>(value)); break;
    case DType::i8: fill(result, static_cast<int8_t>(value)); break;
  }
  y = std::move(result);
  return {};
}

Status view(const Tensor& x, int64_t offset, const Shape& shape, Tensor& y) {
  FORGE_TRY(check_shape("view", shape, x.dtype()));
  if (offset < 0 || offset > x.count() || shape.count() > x.count() - offset) {
    return failure(Code::shape, "view: %s from element %lld does not fit x %s", shape.text().c_str(),
                   static_cast<long long>(offset), x.shape().text().c_str());
  }
  y = x.view(offset, shape);
  return {};
}

}  // namespace forge::ops
