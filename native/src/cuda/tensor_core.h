#pragma once
/** bf16 and the matrix instruction of tensor cores; in the emulation, the same sums by the same lanes. */
#include "cuda/launch.h"

namespace forge::cuda {

/** Nearest bf16, ties to even; NaN stays. */
__device__ inline uint32_t to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return value != value ? 0x7fffu : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/** The bf16 nearest to a value, as f32. */
__device__ inline float as_bf16(float value) {
  const uint32_t bits = to_bf16(value) << 16;
  float rounded;
  memcpy(&rounded, &bits, sizeof rounded);
  return rounded;
}

/** Two of them in a word, as fragments hold neighbours in k. */
__device__ inline uint32_t to_bf16_pair(float low, float high) { return to_bf16(high) << 16 | to_bf16(low); }

/**
 * c[16, 8] += a[16, 16] · b[16, 8] by a warp: bf16 operands in pairs of consecutive k, f32 sums. With row = lane / 4 and
 * pair = lane mod 4, a lane holds
 *   a: rows row, row + 8 of columns 2·pair, then the same of columns 2·pair + 8;
 *   b: rows 2·pair, then 2·pair + 8, of column `row`;
 *   c: columns 2·pair and 2·pair + 1 of row `row`, then of row + 8.
 * PTX ISA, "Matrix Fragments for mma.m16n8k16".
 */
#if defined(FORGE_CUDA_EMULATION)
inline void multiply_fragments(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulation::mma_m16n8k16(c, a, b);
}
#else
__device__ inline void multiply_fragments(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

}  // namespace forge::cuda
