#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/backend.h"
#include "core/kernels.h"
#include "ops/ops.h"

/** Numbers that stay where tensors are: what a step computes and uses without the host waiting for it. */
namespace forge::ops {
namespace {

/** DTYPE, SHAPE unless x is one number of that dtype. */
Status expect_one(const char* op, const char* name, const Tensor& x, DType dtype) {
  FORGE_TRY(expect_dtype(op, name, x, dtype));
  if (x.count() == 1) return {};
  return failure(Code::shape, "%s: %s %s has not one element", op, name, x.shape().text().c_str());
}

struct Arrays {
  std::vector<const float*> data;
  std::vector<int64_t> counts;
  explicit Arrays(const TensorList& xs) {
    for (const Tensor& x : xs) {
      data.push_back(x.f32());
      counts.push_back(x.count());
    }
  }
  int64_t size() const { return static_cast<int64_t>(data.size()); }
};

}  // namespace

Status clip_scale(const TensorList& xs, double most, const TensorList& guards, Tensor& clip) {
  constexpr const char* op = "clipScale";
  for (const Tensor& x : xs) FORGE_TRY(expect_f32(op, {&x}));
  for (const Tensor& x : guards) FORGE_TRY(expect_f32(op, {&x}));
  if (!(most > 0)) return failure(Code::argument, "%s: largest norm %g, needs more than 0", op, most);
  Tensor result;
  FORGE_TRY(empty(op, DType::f64, Shape{2}, result));
  const Arrays arrays(xs), guarded(guards);
  if (on_host()) {
    const double norm = std::sqrt(kernels().sum_squares(arrays.data.data(), arrays.counts.data(), arrays.size()));
    const bool good = std::isfinite(norm) && kernels().is_finite(guarded.data.data(), guarded.counts.data(), guarded.size());
    result.f64()[0] = norm;
    result.f64()[1] = good ? std::min(1.0, most / (norm + 1e-6)) : std::numeric_limits<double>::quiet_NaN();
  } else {
    kernels().clip_scale(arrays.data.data(), arrays.counts.data(), arrays.size(), most, guarded.data.data(),
                         guarded.counts.data(), guarded.size(), result.f64());
  }
  clip = std::move(result);
  return {};
}

Status scale_by(const Tensor& x, const Tensor& weight) {
  FORGE_TRY(expect_f32("scaleBy", {&x}));
  FORGE_TRY(expect_one("scaleBy", "weight", weight, DType::f64));
  if (on_host()) kernels().unary(Unary::mul_scalar, x.f32(), static_cast<float>(*weight.f64()), x.f32(), x.count());
  else kernels().scale_by(x.f32(), x.count(), weight.f64());
  return {};
}

Status expand_scalar(const Tensor& x, double factor, const Tensor* weight, int64_t count, Tensor& y) {
  constexpr const char* op = "expandScalar";
  FORGE_TRY(expect_one(op, "x", x, DType::f32));
  if (weight != nullptr) FORGE_TRY(expect_one(op, "weight", *weight, DType::f64));
  Tensor result;
  FORGE_TRY(empty(op, DType::f32, Shape{count}, result));
  if (on_host()) {
    const auto value = static_cast<float>(factor * (weight == nullptr ? 1.0 : *weight->f64()) * static_cast<double>(*x.f32()));
    kernels().fill(result.data(), count, &value, sizeof value);
  } else {
    kernels().expand_scalar(x.f32(), factor, weight == nullptr ? nullptr : weight->f64(), result.f32(), count);
  }
  y = std::move(result);
  return {};
}

}  // namespace forge::ops
