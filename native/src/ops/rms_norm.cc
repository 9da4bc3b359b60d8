#include "core/allocator.h"
#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status check(const char* op, const Tensor& x, const Tensor& gain) {
  if (x.shape().rank >= 1 && gain.shape() == Shape{x.shape().last()}) return {};
  return failure(Code::shape, "%s: gain %s does not match the last axis of x %s", op, gain.shape().text().c_str(),
                 x.shape().text().c_str());
}

int64_t rows_of(const Tensor& x) { return x.shape().count(0, x.shape().rank - 1); }

}  // namespace

Status rms_norm(const Tensor& x, const Tensor& gain, double eps, Tensor& y, Tensor& rstd) {
  FORGE_TRY(expect_f32("rmsNorm", {&x, &gain}));
  FORGE_TRY(check("rmsNorm", x, gain));
  Tensor result, factors;
  FORGE_TRY(empty("rmsNorm", DType::f32, x.shape(), result));
  FORGE_TRY(empty("rmsNorm", DType::f32, x.shape().without(x.shape().rank - 1), factors));
  kernels().rms_norm(x.f32(), gain.f32(), static_cast<float>(eps), result.f32(), factors.f32(), rows_of(x),
                     x.shape().last());
  y = std::move(result);
  rstd = std::move(factors);
  return {};
}

Status rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& rstd, const Tensor* d_gain,
                         Tensor& dx) {
  constexpr const char* op = "rmsNormBackward";
  FORGE_TRY(expect_f32(op, {&dy, &x, &gain, &rstd, d_gain}));
  FORGE_TRY(check(op, x, gain));
  FORGE_TRY(expect_same_shape(op, "dy", dy, "x", x));
  if (d_gain != nullptr) FORGE_TRY(expect_same_shape(op, "dGain", *d_gain, "gain", gain));
  const int64_t rows = rows_of(x), width = x.shape().last();
  if (rstd.count() != rows) {
    return failure(Code::shape, "%s: rstd %s does not match the rows of x %s", op, rstd.shape().text().c_str(),
                   x.shape().text().c_str());
  }
  Tensor result;
  Scratch partial;
  FORGE_TRY(empty(op, DType::f32, x.shape(), result));
  if (d_gain != nullptr) {
    FORGE_TRY(partial.reserve(op, rms_norm_partials(rows) * width * static_cast<int64_t>(sizeof(float))));
  }
  kernels().rms_norm_backward(dy.f32(), x.f32(), gain.f32(), rstd.f32(), result.f32(),
                              d_gain == nullptr ? nullptr : d_gain->f32(), partial.f32(), rows, width);
  dx = std::move(result);
  return {};
}

}  // namespace forge::ops
