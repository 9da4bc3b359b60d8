#pragma once
/** IEEE 754 half precision by integer arithmetic, the same on every instruction set. */
#include "cpu/simd.h"

namespace forge::FORGE_ISA {

typedef uint16_t vh __attribute__((vector_size(lanes * 2)));

/** Nearest half of every lane, ties to even; from 65520 on infinity; a NaN stays one. */
static inline vh to_half(vf x) {
  const vi bits = (vi)x, magnitude = bits & 0x7fffffff;
  // Adding 1/2 rounds to multiples of 2^-24, the step of subnormal halves.
  const vi small = (vi)((vf)magnitude + splat(0.5f)) - 0x3f000000;
  // Exponent bias 127 -> 15, and the carry of a rounding that ends in a zero bit on ties.
  const vi normal = (magnitude - (112 << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  vi half = magnitude < 0x38800000 ? small : normal;
  half = magnitude >= 0x47800000 ? splat_i(0x7c00) : half;
  half = magnitude > 0x7f800000 ? (0x7e00 | ((magnitude >> 13) & 0x3ff)) : half;
  return __builtin_convertvector(half | ((bits >> 16) & 0x8000), vh);
}

/** The value of every lane, exactly. */
static inline vf from_half(vh x) {
  const vi half = __builtin_convertvector(x, vi), sign = (half & 0x8000) << 16;
  const vi shifted = (half & 0x7fff) << 13;
  const vf finite = (vf)shifted * splat(0x1p112f);
  const vi bits = (half & 0x7c00) == 0x7c00 ? (shifted | 0x7f800000) : (vi)finite;
  return (vf)(bits | sign);
}

static inline uint16_t to_half(float x) { return to_half(splat(x))[0]; }
static inline float from_half(uint16_t x) {
  vh lanes_of = {};
  lanes_of[0] = x;
  return from_half(lanes_of)[0];
}

}  // namespace forge::FORGE_ISA
