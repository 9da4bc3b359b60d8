#include <cmath>

#include "core/allocator.h"
#include "core/kernels.h"
#include "ops/finite.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status check_code(const char* op, int64_t bits, int64_t block, int64_t rank, double scale) {
  if (bits < 2 || bits > seedlm_most_bits || block < 1 || block > seedlm_most_block || rank < 1 ||
      rank > seedlm_most_rank || rank > block) {
    return failure(Code::argument, "%s: bits %lld, block %lld, rank %lld; needs 2 to %d, 1 to %d, 1 to %d and at most block",
                   op, static_cast<long long>(bits), static_cast<long long>(block), static_cast<long long>(rank),
                   seedlm_most_bits, seedlm_most_block, seedlm_most_rank);
  }
  if (scale > 0 && std::isfinite(scale)) return {};
  return failure(Code::argument, "%s: scale %g, must be positive", op, scale);
}

SeedLm code_of(int64_t bits, int64_t block, int64_t rank) {
  return {static_cast<int>(bits), static_cast<int>(block), static_cast<int>(rank)};
}

}  // namespace

Status seedlm_encode(const Tensor& w, double scale, int64_t bits, int64_t block, int64_t rank, Tensor& seeds,
                     Tensor& fields) {
  constexpr const char* op = "seedlmEncode";
  FORGE_TRY(expect_f32(op, {&w}));
  FORGE_TRY(check_code(op, bits, block, rank, scale));
  FORGE_TRY(expect_finite(op, w));
  const int64_t blocks = (w.count() + block - 1) / block;
  const SeedLm code = code_of(bits, block, rank);
  Tensor chosen, coefficients;
  Scratch scaled, scratch;
  FORGE_TRY(empty(op, DType::i32, {blocks}, chosen));
  FORGE_TRY(empty(op, DType::i8, {blocks, 1 + rank}, coefficients));
  FORGE_TRY(scaled.reserve(op, blocks * block * static_cast<int64_t>(sizeof(float))));
  FORGE_TRY(scratch.reserve(op, kernels().seedlm_scratch(code, blocks)));
  for (int64_t i = 0; i < blocks * block; ++i) {
    scaled.f32()[i] = i < w.count() ? static_cast<float>(w.f32()[i] / scale) : 0;
  }
  if (blocks > 0) {
    kernels().seedlm_encode(code, scaled.f32(), blocks, chosen.i32(), coefficients.i8(), scratch.f32());
  }
  seeds = std::move(chosen);
  fields = std::move(coefficients);
  return {};
}

Status seedlm_decode(const Tensor& seeds, const Tensor& fields, double scale, int64_t bits, int64_t block, int64_t count,
                     Tensor& w) {
  constexpr const char* op = "seedlmDecode";
  FORGE_TRY(expect_dtype(op, "seeds", seeds, DType::i32));
  FORGE_TRY(expect_dtype(op, "fields", fields, DType::i8));
  const int64_t blocks = seeds.count(), rank = fields.shape().last() - 1;
  FORGE_TRY(check_code(op, bits, block, rank, scale));
  if (!(fields.shape() == Shape{blocks, 1 + rank}) || count < 0 || (count + block - 1) / block != blocks) {
    return failure(Code::shape, "%s: %lld weights in blocks of %lld do not fit seeds %s and fields %s", op,
                   static_cast<long long>(count), static_cast<long long>(block), seeds.shape().text().c_str(),
                   fields.shape().text().c_str());
  }
  for (int64_t b = 0; b < blocks; ++b) {
    const int32_t seed = seeds.i32()[b];
    bool is_valid = seed >= 1 && seed < int64_t{1} << bits;
    for (int64_t i = 0; i <= rank; ++i) {
      const int8_t field = fields.i8()[b * (1 + rank) + i];
      is_valid = is_valid && field >= -8 && field <= 7;
    }
    if (is_valid) continue;
    return failure(Code::argument, "%s: block %lld: seed %d must be 1 to 2^%lld - 1, its fields -8 to 7", op,
                   static_cast<long long>(b), seed, static_cast<long long>(bits));
  }
  Tensor whole;
  FORGE_TRY(empty(op, DType::f32, {blocks * block}, whole));
  kernels().seedlm_decode(code_of(bits, block, rank), seeds.i32(), fields.i8(), static_cast<float>(scale), whole.f32(),
                          blocks);
  w = whole.view(0, {count});
  return {};
}

}  // namespace forge::ops
