#include <vector>

#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

/** Addresses and sizes of tensors, as the kernels over several arrays take them. */
struct Arrays {
  std::vector<const float*> data;
  std::vector<int64_t> counts;
  explicit Arrays(const TensorList& xs) {
    for (const Tensor& x : xs) {
      data.push_back(x.f32());
      counts.push_back(x.count());
    }
  }
};

Status reduce(const char* name, Reduction op, const Tensor& x, int64_t axis, Tensor& y) {
  FORGE_TRY(expect_f32(name, {&x}));
  const Shape& shape = x.shape();
  if (axis < -1 || axis >= shape.rank) {
    return failure(Code::argument, "%s: axis %lld of %s; needs -1 (all) to %d", name, static_cast<long long>(axis),
                   shape.text().c_str(), shape.rank - 1);
  }
  const int at = static_cast<int>(axis);
  const int64_t outer = axis < 0 ? 1 : shape.count(0, at);
  const int64_t length = axis < 0 ? x.count() : shape[at];
  const int64_t inner = axis < 0 ? 1 : shape.count(at + 1, shape.rank);
  if (op == Reduction::max && length == 0 && outer * inner > 0) {
    return failure(Code::argument, "%s: nothing to reduce in %s", name, shape.text().c_str());
  }
  Tensor result;
  FORGE_TRY(empty(name, DType::f32, axis < 0 ? Shape{1} : shape.without(at), result));
  kernels().reduce(op, x.f32(), result.f32(), outer, length, inner);
  y = std::move(result);
  return {};
}

}  // namespace

Status sum(const Tensor& x, int64_t axis, Tensor& y) { return reduce("sum", Reduction::sum, x, axis, y); }
Status mean(const Tensor& x, int64_t axis, Tensor& y) { return reduce("mean", Reduction::mean, x, axis, y); }
Status max(const Tensor& x, int64_t axis, Tensor& y) { return reduce("max", Reduction::max, x, axis, y); }

Status argmax(const Tensor& x, Tensor& y) {
  FORGE_TRY(expect_f32("argmax", {&x}));
  const Shape& shape = x.shape();
  if (shape.rank == 0 || shape.last() == 0) {
    return failure(Code::argument, "argmax: no last axis to search in %s", shape.text().c_str());
  }
  Tensor result;
  FORGE_TRY(empty("argmax", DType::i32, shape.without(shape.rank - 1), result));
  kernels().argmax(x.f32(), result.i32(), x.count() / shape.last(), shape.last());
  y = std::move(result);
  return {};
}

Status sum_squares(const TensorList& xs, double& total) {
  for (const Tensor& x : xs) FORGE_TRY(expect_f32("sumSquares", {&x}));
  const Arrays arrays(xs);
  total = kernels().sum_squares(arrays.data.data(), arrays.counts.data(), static_cast<int64_t>(xs.size()));
  return {};
}

Status sum_to_shape(const Tensor& x, const Shape& shape, Tensor& y) {
  FORGE_TRY(expect_f32("sumToShape", {&x}));
  FORGE_TRY(check_shape("sumToShape", shape, DType::f32));
  const bool one = shape.count() == 1;
  if (!one && !x.shape().ends_with(shape)) {
    return failure(Code::shape, "sumToShape: %s is neither the trailing axes of x %s nor one element",
                   shape.text().c_str(), x.shape().text().c_str());
  }
  const int64_t inner = shape.count();
  const int64_t rows = one ? x.count() : x.shape().count(0, x.shape().rank - shape.rank);
  Tensor result;
  FORGE_TRY(empty("sumToShape", DType::f32, shape, result));
  kernels().reduce(Reduction::sum, x.f32(), result.f32(), 1, rows, inner);
  y = std::move(result);
  return {};
}

Status is_finite(const TensorList& xs, bool& finite) {
  for (const Tensor& x : xs) FORGE_TRY(expect_f32("isFinite", {&x}));
  const Arrays arrays(xs);
  finite = kernels().is_finite(arrays.data.data(), arrays.counts.data(), static_cast<int64_t>(xs.size()));
  return {};
}

Status dot(const Tensor& a, const Tensor& b, double& total) {
  FORGE_TRY(expect_f32("dot", {&a, &b}));
  FORGE_TRY(expect_same_shape("dot", "a", a, "b", b));
  total = kernels().dot(a.f32(), b.f32(), a.count());
  return {};
}

}  // namespace forge::ops
