#pragma once
/** IEEE 754 half precision by integer arithmetic, as on the processor (cpu/half.h). */
#include "cuda/launch.h"

namespace forge::cuda {

__device__ inline int32_t bits_of(float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
__device__ inline float float_of(int32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/** Nearest half, ties to even; from 65520 on infinity; a NaN stays one. */
__device__ inline uint16_t to_half(float x) {
  const int32_t bits = bits_of(x), magnitude = bits & 0x7fffffff;
  int32_t half;
  if (magnitude > 0x7f800000) half = 0x7e00 | (magnitude >> 13 & 0x3ff);
  else if (magnitude >= 0x47800000) half = 0x7c00;
  // Adding 1/2 rounds to multiples of 2^-24, the step of subnormal halves.
  else if (magnitude < 0x38800000) half = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000;
  // Exponent bias 127 -> 15, and the carry of a rounding that ends in a zero bit on ties.
  else half = (magnitude - (112 << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  return static_cast<uint16_t>(half | (bits >> 16 & 0x8000));
}

/** The value, exactly. */
__device__ inline float from_half(uint16_t x) {
  const int32_t sign = (x & 0x8000) << 16, shifted = (x & 0x7fff) << 13;
  const int32_t bits = (x & 0x7c00) == 0x7c00 ? (shifted | 0x7f800000) : bits_of(float_of(shifted) * 0x1p112f);
  return float_of(bits | sign);
}

}  // namespace forge::cuda
