#include <algorithm>
#include <cmath>

#include "core/backend.h"
#include "core/kernels.h"
#include "ops/finite.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

/** 1 / max(mean |w|, 1e-5); NaN when the mean is. */
float absmean_inverse(const Tensor& w) {
  const double mean = w.count() == 0 ? 0 : kernels().abs_sum(w.f32(), w.count()) / static_cast<double>(w.count());
  return 1.0f / std::max(static_cast<float>(mean), 1e-5f);
}

Status check_rows(const char* op, const Tensor& x) {
  FORGE_TRY(expect_f32(op, {&x}));
  if (x.shape().rank >= 1) return {};
  return failure(Code::shape, "%s: %s has no last axis", op, x.shape().text().c_str());
}

int64_t rows_of(const Tensor& x) { return x.shape().count(0, x.shape().rank - 1); }

}  // namespace

Status expect_finite(const char* op, const Tensor& x, float limit) {
  const int64_t at = kernels().first_not_below(x.f32(), x.count(), limit);
  if (at < 0) return {};
  float value = 0;
  copy_out(&value, x.f32() + at, sizeof value);
  return std::isfinite(value)
             ? failure(Code::argument, "%s: element %lld of x %s is %g, must be below %g", op,
                       static_cast<long long>(at), x.shape().text().c_str(), value, limit)
             : failure(Code::argument, "%s: element %lld of x %s is %g, must be finite", op, static_cast<long long>(at),
                       x.shape().text().c_str(), value);
}

Status absmean_quantize(const Tensor& w, Tensor& codes, Tensor& step) {
  constexpr const char* op = "absmeanQuantize";
  FORGE_TRY(expect_f32(op, {&w}));
  FORGE_TRY(expect_finite(op, w));
  Tensor result, size;
  FORGE_TRY(empty(op, DType::i8, w.shape(), result));
  FORGE_TRY(empty(op, DType::f32, {1}, size));
  const float inverse = absmean_inverse(w);
  kernels().ternary_codes(w.f32(), inverse, result.i8(), w.count());
  const float mean = 1.0f / inverse;
  copy_in(size.data(), &mean, sizeof mean);
  codes = std::move(result);
  step = std::move(size);
  return {};
}

Status absmean_fake_quantize(const Tensor& w, Tensor& y) {
  FORGE_TRY(expect_f32("absmeanFakeQuantize", {&w}));
  Tensor result;
  FORGE_TRY(empty("absmeanFakeQuantize", DType::f32, w.shape(), result));
  const float inverse = absmean_inverse(w);
  kernels().ternary_values(w.f32(), inverse, 1.0f / inverse, result.f32(), w.count());
  y = std::move(result);
  return {};
}

Status absmax_quantize(const Tensor& x, Tensor& codes, Tensor& steps) {
  constexpr const char* op = "absmaxQuantize";
  FORGE_TRY(check_rows(op, x));
  FORGE_TRY(expect_finite(op, x));
  Tensor result, sizes;
  FORGE_TRY(empty(op, DType::i8, x.shape(), result));
  FORGE_TRY(empty(op, DType::f32, x.shape().without(x.shape().rank - 1), sizes));
  const int64_t width = x.shape().last();
  kernels().absmax_codes(x.f32(), result.i8(), width, sizes.f32(), nullptr, rows_of(x), width);
  codes = std::move(result);
  steps = std::move(sizes);
  return {};
}

Status absmax_fake_quantize(const Tensor& x, Tensor& y) {
  constexpr const char* op = "absmaxFakeQuantize";
  FORGE_TRY(check_rows(op, x));
  Tensor result;
  FORGE_TRY(empty(op, DType::f32, x.shape(), result));
  kernels().absmax_values(x.f32(), result.f32(), rows_of(x), x.shape().last());
  y = std::move(result);
  return {};
}

}  // namespace forge::ops
