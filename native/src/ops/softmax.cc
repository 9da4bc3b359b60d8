#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status needs_axis(const char* op, const Tensor& x) {
  if (x.shape().rank >= 1) return {};
  return failure(Code::shape, "%s: %s has no last axis", op, x.shape().text().c_str());
}

}  // namespace

Status softmax(const Tensor& x, Tensor& y) {
  FORGE_TRY(expect_f32("softmax", {&x}));
  FORGE_TRY(needs_axis("softmax", x));
  Tensor result;
  FORGE_TRY(empty("softmax", DType::f32, x.shape(), result));
  if (x.count() > 0) kernels().softmax(x.f32(), result.f32(), x.count() / x.shape().last(), x.shape().last());
  y = std::move(result);
  return {};
}

Status softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx) {
  constexpr const char* op = "softmaxBackward";
  FORGE_TRY(expect_f32(op, {&y, &dy}));
  FORGE_TRY(needs_axis(op, y));
  FORGE_TRY(expect_same_shape(op, "y", y, "dy", dy));
  Tensor result;
  FORGE_TRY(empty(op, DType::f32, y.shape(), result));
  if (y.count() > 0) {
    kernels().softmax_backward(y.f32(), dy.f32(), result.f32(), y.count() / y.shape().last(), y.shape().last());
  }
  dx = std::move(result);
  return {};
}

}  // namespace forge::ops
