#pragma once
/** Products that are rounded by themselves, never contracted with a sum: the same bytes as on the processor. */
#include "cuda/launch.h"

namespace forge::cuda {

#if defined(FORGE_CUDA_EMULATION)
inline double times(double a, double b) {
  const volatile double product = a * b;
  return product;
}
inline float times(float a, float b) {
  const volatile float product = a * b;
  return product;
}
#else
__device__ inline double times(double a, double b) { return __dmul_rn(a, b); }
__device__ inline float times(float a, float b) { return __fmul_rn(a, b); }
#endif

/** sum + a·b. */
__device__ inline double plus_product(double sum, double a, double b) {
  const double product = times(a, b);
  return sum + product;
}

}  // namespace forge::cuda
