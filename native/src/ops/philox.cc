#include "core/kernels.h"
#include "ops/ops.h"
#include "ops/philox_key.h"

namespace forge::ops {

Status philox_uniform(const Tensor& x, uint32_t seed_lo, uint32_t seed_hi, uint32_t counter_lo, uint32_t counter_hi,
                      const Tensor* base) {
  Philox key{};
  FORGE_TRY(expect_f32("philoxUniform", {&x}));
  FORGE_TRY(make_key("philoxUniform", seed_lo, seed_hi, counter_lo, counter_hi, base, key));
  kernels().philox_uniform(x.f32(), x.count(), key);
  return {};
}

Status philox_normal(const Tensor& x, uint32_t seed_lo, uint32_t seed_hi, uint32_t counter_lo, uint32_t counter_hi,
                     double mean, double std) {
  FORGE_TRY(expect_f32("philoxNormal", {&x}));
  kernels().philox_normal(x.f32(), x.count(), {seed_lo, seed_hi, uint64_t{counter_hi} << 32 | counter_lo},
                          static_cast<float>(mean), static_cast<float>(std));
  return {};
}

}  // namespace forge::ops
