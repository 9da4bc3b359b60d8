#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status binary(const char* name, Binary op, const Tensor& a, const Tensor& b, Tensor& y) {
  FORGE_TRY(expect_f32(name, {&a, &b}));
  if (!a.shape().ends_with(b.shape()) && b.count() != 1) {
    return failure(Code::shape, "%s: b %s is neither a %s, nor its trailing axes, nor one element", name,
                   b.shape().text().c_str(), a.shape().text().c_str());
  }
  Tensor result;
  FORGE_TRY(empty(name, DType::f32, a.shape(), result));
  kernels().binary(op, a.f32(), b.f32(), result.f32(), a.count(), b.count());
  y = std::move(result);
  return {};
}

Status unary(const char* name, Unary op, const Tensor& x, double s, Tensor& y) {
  FORGE_TRY(expect_f32(name, {&x}));
  Tensor result;
  FORGE_TRY(empty(name, DType::f32, x.shape(), result));
  kernels().unary(op, x.f32(), static_cast<float>(s), result.f32(), x.count());
  y = std::move(result);
  return {};
}

Status backward(const char* name, UnaryBackward op, const Tensor& saved, const Tensor& dy, Tensor& dx) {
  FORGE_TRY(expect_f32(name, {&saved, &dy}));
  FORGE_TRY(expect_same_shape(name, "the saved tensor", saved, "dy", dy));
  Tensor result;
  FORGE_TRY(empty(name, DType::f32, dy.shape(), result));
  kernels().unary_backward(op, saved.f32(), dy.f32(), result.f32(), dy.count());
  dx = std::move(result);
  return {};
}

}  // namespace

Status add(const Tensor& a, const Tensor& b, Tensor& y) { return binary("add", Binary::add, a, b, y); }
Status sub(const Tensor& a, const Tensor& b, Tensor& y) { return binary("sub", Binary::sub, a, b, y); }
Status mul(const Tensor& a, const Tensor& b, Tensor& y) { return binary("mul", Binary::mul, a, b, y); }
Status div(const Tensor& a, const Tensor& b, Tensor& y) { return binary("div", Binary::div, a, b, y); }

Status add_scalar(const Tensor& x, double s, Tensor& y) { return unary("addScalar", Unary::add_scalar, x, s, y); }
Status mul_scalar(const Tensor& x, double s, Tensor& y) { return unary("mulScalar", Unary::mul_scalar, x, s, y); }
Status neg(const Tensor& x, Tensor& y) { return unary("neg", Unary::neg, x, 0, y); }
Status exp(const Tensor& x, Tensor& y) { return unary("exp", Unary::exp, x, 0, y); }
Status log(const Tensor& x, Tensor& y) { return unary("log", Unary::log, x, 0, y); }
Status tanh(const Tensor& x, Tensor& y) { return unary("tanh", Unary::tanh, x, 0, y); }
Status sigmoid(const Tensor& x, Tensor& y) { return unary("sigmoid", Unary::sigmoid, x, 0, y); }
Status silu(const Tensor& x, Tensor& y) { return unary("silu", Unary::silu, x, 0, y); }
Status relu(const Tensor& x, Tensor& y) { return unary("relu", Unary::relu, x, 0, y); }
Status relu2(const Tensor& x, Tensor& y) { return unary("relu2", Unary::relu2, x, 0, y); }
Status sqrt(const Tensor& x, Tensor& y) { return unary("sqrt", Unary::sqrt, x, 0, y); }
Status abs(const Tensor& x, Tensor& y) { return unary("abs", Unary::abs, x, 0, y); }
Status sign(const Tensor& x, Tensor& y) { return unary("sign", Unary::sign, x, 0, y); }

Status silu_backward(const Tensor& x, const Tensor& dy, Tensor& dx) {
  return backward("siluBackward", UnaryBackward::silu, x, dy, dx);
}
Status sigmoid_backward(const Tensor& y, const Tensor& dy, Tensor& dx) {
  return backward("sigmoidBackward", UnaryBackward::sigmoid, y, dy, dx);
}
Status tanh_backward(const Tensor& y, const Tensor& dy, Tensor& dx) {
  return backward("tanhBackward", UnaryBackward::tanh, y, dy, dx);
}
Status relu_backward(const Tensor& x, const Tensor& dy, Tensor& dx) {
  return backward("reluBackward", UnaryBackward::relu, x, dy, dx);
}
Status relu2_backward(const Tensor& x, const Tensor& dy, Tensor& dx) {
  return backward("relu2Backward", UnaryBackward::relu2, x, dy, dx);
}

Status axpy(const Tensor& y, double alpha, const Tensor& x) {
  FORGE_TRY(expect_f32("axpy", {&y, &x}));
  FORGE_TRY(expect_same_shape("axpy", "y", y, "x", x));
  kernels().axpy(y.f32(), static_cast<float>(alpha), x.f32(), y.count());
  return {};
}

Status scale_in_place(const Tensor& x, double s) {
  FORGE_TRY(expect_f32("scaleInPlace", {&x}));
  kernels().unary(Unary::mul_scalar, x.f32(), static_cast<float>(s), x.f32(), x.count());
  return {};
}

}  // namespace forge::ops
