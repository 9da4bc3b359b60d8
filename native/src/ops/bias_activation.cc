#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {

Status bias_activation(const Tensor& y, const Tensor* bias, int64_t activation) {
  constexpr const char* op = "biasActivationInPlace";
  FORGE_TRY(expect_f32(op, {&y, bias}));
  const Shape& shape = y.shape();
  if (shape.rank < 1 || (bias != nullptr && !(bias->shape() == Shape{shape.last()}))) {
    return failure(Code::shape, "%s: y %s and bias %s, needs [..., N] and [N]", op, shape.text().c_str(),
                   bias == nullptr ? "none" : bias->shape().text().c_str());
  }
  if (activation < 0 || activation > static_cast<int64_t>(Activation::tanh)) {
    return failure(Code::argument, "%s: no activation %lld", op, static_cast<long long>(activation));
  }
  if (bias != nullptr && bias->overlaps(y)) return failure(Code::argument, "%s: y and bias share elements", op);
  kernels().bias_activation(y.f32(), bias == nullptr ? nullptr : bias->f32(), static_cast<Activation>(activation),
                            shape.last() == 0 ? 0 : y.count() / shape.last(), shape.last());
  return {};
}

}  // namespace forge::ops
