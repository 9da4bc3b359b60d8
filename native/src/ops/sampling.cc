#include "core/backend.h"
#include "ops/ops.h"
#include "ops/philox_key.h"

namespace forge::ops {

Status dropout(const Tensor& x, double probability, uint32_t seed_lo, uint32_t seed_hi, uint32_t counter_lo,
               uint32_t counter_hi, const Tensor* base, Tensor& y) {
  Philox key{};
  FORGE_TRY(expect_f32("dropout", {&x}));
  if (!(probability >= 0 && probability < 1)) {
    return failure(Code::argument, "dropout: probability %g, needs 0 to below 1", probability);
  }
  FORGE_TRY(make_key("dropout", seed_lo, seed_hi, counter_lo, counter_hi, base, key));
  Tensor result;
  FORGE_TRY(empty("dropout", DType::f32, x.shape(), result));
  kernels().dropout(x.f32(), result.f32(), x.count(), 1 - probability, key);
  y = std::move(result);
  return {};
}

Status top_k(const Tensor& x, int64_t k, Tensor& values, Tensor& index) {
  FORGE_TRY(expect_f32("topK", {&x}));
  const Shape& shape = x.shape();
  if (shape.rank == 0 || k < 1 || k > shape.last()) {
    return failure(Code::argument, "topK: %lld of the last axis of %s", static_cast<long long>(k), shape.text().c_str());
  }
  Tensor largest, at;
  FORGE_TRY(empty("topK", DType::f32, shape.with_last(k), largest));
  FORGE_TRY(empty("topK", DType::i32, shape.with_last(k), at));
  kernels().top_k(x.f32(), largest.f32(), at.i32(), x.count() / shape.last(), shape.last(), k);
  values = std::move(largest);
  index = std::move(at);
  return {};
}

Status categorical(const Tensor& logits, uint32_t seed_lo, uint32_t seed_hi, uint32_t counter_lo, uint32_t counter_hi,
                   Tensor& y) {
  FORGE_TRY(expect_f32("categorical", {&logits}));
  const Shape& shape = logits.shape();
  if (shape.rank == 0 || shape.last() == 0) {
    return failure(Code::shape, "categorical: nothing to choose from in %s", shape.text().c_str());
  }
  Tensor result;
  FORGE_TRY(empty("categorical", DType::i32, shape.without(shape.rank - 1), result));
  const int64_t rows = logits.count() / shape.last();
  kernels().categorical(logits.f32(), result.i32(), rows, shape.last(),
                        {seed_lo, seed_hi, uint64_t{counter_hi} << 32 | counter_lo});
  const int64_t row = kernels().first_outside(result.i32(), rows, shape.last(), no_exception);
  if (row >= 0) {
    return failure(Code::argument, "categorical: row %lld of %s has a NaN, an infinity, or nothing but -infinity",
                   static_cast<long long>(row), shape.text().c_str());
  }
  y = std::move(result);
  return {};
}

}  // namespace forge::ops
