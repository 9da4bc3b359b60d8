#pragma once
/** f64 arithmetic that is rounded after every step, never contracted: the same bytes as on the processor. */
#include "cuda/launch.h"

namespace forge::cuda {

#if defined(FORGE_CUDA_EMULATION)
inline double times(double a, double b) {
  const volatile double product = a * b;
  return product;
}
#else
__device__ inline double times(double a, double b) { return __dmul_rn(a, b); }
#endif

/** sum + a·b. */
__device__ inline double plus_product(double sum, double a, double b) {
  const double product = times(a, b);
  return sum + product;
}

}  // namespace forge::cuda
