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

/** Where products come from: the library's path, or why it is not used. */
const char* gemm_source();

}  // namespace forge::cuda
