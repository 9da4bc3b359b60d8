#pragma once
#include <cmath>

#include "core/tensor.h"

namespace forge::ops {

/** ARGUMENT, naming the first such element, when one of f32 x is NaN, or not below `limit` in magnitude. */
Status expect_finite(const char* op, const Tensor& x, float limit = INFINITY);

}  // namespace forge::ops
