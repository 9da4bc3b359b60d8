#pragma once
/** The order in which elements of a row are chosen: falling, NaN before everything, the first of equals first. */
#include "cuda/launch.h"

namespace forge::cuda {

/** Whether element i with value a comes before element j with value b. */
__device__ inline bool precedes(float a, int64_t i, float b, int64_t j) {
  const bool a_nan = a != a, b_nan = b != b;
  if (a_nan || b_nan) return a_nan && (!b_nan || i < j);
  return a > b || (a == b && i < j);
}

}  // namespace forge::cuda
