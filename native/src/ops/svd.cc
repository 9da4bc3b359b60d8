#include <algorithm>

#include "core/allocator.h"
#include "ops/ops.h"

namespace forge::ops {

Status svd(const Tensor& x, Tensor& u, Tensor& s, Tensor& vt) {
  FORGE_TRY(expect_f32("svd", {&x}));
  const Shape& shape = x.shape();
  if (shape.rank != 2) return failure(Code::shape, "svd: x %s, needs [M, N]", shape.text().c_str());
  const float* data = x.f32();
  const int64_t count = x.count();
  if (!kernels().is_finite(&data, &count, 1)) {
    return failure(Code::argument, "svd: x %s has elements that are not finite", shape.text().c_str());
  }
  const int64_t k = std::min(shape[0], shape[1]);
  Tensor left, values, right;
  Scratch scratch;
  FORGE_TRY(empty("svd", DType::f32, {shape[0], k}, left));
  FORGE_TRY(empty("svd", DType::f32, {k}, values));
  FORGE_TRY(empty("svd", DType::f32, {k, shape[1]}, right));
  FORGE_TRY(scratch.reserve("svd", kernels().svd_scratch(shape[0], shape[1])));
  if (k > 0 && !kernels().svd(x.f32(), shape[0], shape[1], left.f32(), values.f32(), right.f32(), scratch.f32())) {
    return failure(Code::internal, "svd: %s does not converge", shape.text().c_str());
  }
  u = std::move(left);
  s = std::move(values);
  vt = std::move(right);
  return {};
}

}  // namespace forge::ops
