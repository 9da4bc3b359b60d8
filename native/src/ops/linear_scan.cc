#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status check(const char* op, const Tensor& a, const Tensor& b, const Tensor* h0) {
  FORGE_TRY(expect_f32(op, {&a, &b, h0}));
  FORGE_TRY(expect_same_shape(op, "a", a, "b", b));
  const Shape& shape = a.shape();
  if (shape.rank == 3 && (h0 == nullptr || h0->shape() == Shape{shape[0], shape[2]})) return {};
  return failure(Code::shape, "%s: a and b %s, h0 %s; needs [B, T, C] twice and [B, C]", op, shape.text().c_str(),
                 h0 == nullptr ? "none" : h0->shape().text().c_str());
}

const float* data_of(const Tensor* x) { return x == nullptr ? nullptr : x->f32(); }

}  // namespace

Status linear_scan(const Tensor& a, const Tensor& b, const Tensor* h0, Tensor& h) {
  FORGE_TRY(check("linearScan", a, b, h0));
  Tensor result;
  FORGE_TRY(empty("linearScan", DType::f32, a.shape(), result));
  kernels().linear_scan(a.f32(), b.f32(), data_of(h0), result.f32(), a.shape()[0], a.shape()[1], a.shape()[2]);
  h = std::move(result);
  return {};
}

Status linear_scan_backward(const Tensor& dh, const Tensor& a, const Tensor& h, const Tensor* h0, Tensor& da, Tensor& db,
                            Tensor& dh0) {
  constexpr const char* op = "linearScanBackward";
  FORGE_TRY(check(op, a, h, h0));
  FORGE_TRY(expect_f32(op, {&dh}));
  FORGE_TRY(expect_same_shape(op, "dh", dh, "a", a));
  Tensor of_a, of_b, of_start;
  FORGE_TRY(empty(op, DType::f32, a.shape(), of_a));
  FORGE_TRY(empty(op, DType::f32, a.shape(), of_b));
  FORGE_TRY(empty(op, DType::f32, {a.shape()[0], a.shape()[2]}, of_start));
  kernels().linear_scan_backward(dh.f32(), a.f32(), h.f32(), data_of(h0), of_a.f32(), of_b.f32(), of_start.f32(),
                                 a.shape()[0], a.shape()[1], a.shape()[2]);
  da = std::move(of_a);
  db = std::move(of_b);
  dh0 = std::move(of_start);
  return {};
}

}  // namespace forge::ops
