#pragma once
#include "core/kernels.h"

namespace forge::cuda {

/**
 * The product by cuBLASLt, in f32 without TF32; false, and nothing done, when the library is not installed, does not
 * agree with builtin_gemm on its first use, or refuses the sizes.
 */
bool library_gemm(const Gemm& gemm);

/** The product by the kernels of matmul.cu. */
void builtin_gemm(const Gemm& gemm);

/** The operands of a product as bf16 in their own layouts; rows `ld` and products `stride` elements apart. */
struct RoundedOperands {
  const uint16_t* a;
  const uint16_t* b;
  int64_t lda, ldb, stride_a, stride_b;
};

/** Whether library_gemm_bf16 is worth asking: the library is installed, and agrees with builtin_gemm_bf16. */
bool has_library_gemm_bf16();

/** As library_gemm, of operands that round_operands made; products exact, sums in f32. */
bool library_gemm_bf16(const Gemm& gemm, const RoundedOperands& operands);

/** The product by the kernels of matmul_bf16.cu. */
void builtin_gemm_bf16(const Gemm& gemm);

/** Rounds both operands into `scratch`, rounded_bytes(gemm) on the device from a multiple of 16. */
RoundedOperands round_operands(const Gemm& gemm, void* scratch);
int64_t rounded_bytes(const Gemm& gemm);

/** Where products come from: the library's path, or why it is not used. */
const char* gemm_source();

}  // namespace forge::cuda
