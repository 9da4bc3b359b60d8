#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {

Status swiglu(const Tensor& gate, const Tensor& up, Tensor& y) {
  FORGE_TRY(expect_f32("swiglu", {&gate, &up}));
  FORGE_TRY(expect_same_shape("swiglu", "gate", gate, "up", up));
  Tensor result;
  FORGE_TRY(empty("swiglu", DType::f32, gate.shape(), result));
  kernels().swiglu(gate.f32(), up.f32(), result.f32(), gate.count());
  y = std::move(result);
  return {};
}

Status swiglu_backward(const Tensor& dy, const Tensor& gate, const Tensor& up, Tensor& d_gate, Tensor& d_up) {
  constexpr const char* op = "swigluBackward";
  FORGE_TRY(expect_f32(op, {&dy, &gate, &up}));
  FORGE_TRY(expect_same_shape(op, "gate", gate, "up", up));
  FORGE_TRY(expect_same_shape(op, "gate", gate, "dy", dy));
  Tensor gate_gradient, up_gradient;
  FORGE_TRY(empty(op, DType::f32, gate.shape(), gate_gradient));
  FORGE_TRY(empty(op, DType::f32, gate.shape(), up_gradient));
  kernels().swiglu_backward(dy.f32(), gate.f32(), up.f32(), gate_gradient.f32(), up_gradient.f32(), gate.count());
  d_gate = std::move(gate_gradient);
  d_up = std::move(up_gradient);
  return {};
}

}  // namespace forge::ops
