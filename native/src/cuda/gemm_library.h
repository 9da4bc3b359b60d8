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

/** One operand as it is stored: `count` matrices of `rows` × `columns` f32, rows `ldx` and matrices `stride` apart. */
struct StoredOperand {
  const float* x;
  int64_t rows, columns, ldx, stride, count;
  /** Elements from one row to the next once rounded: a multiple of 16 bytes. */
  int64_t rounded_ld() const { return (columns + 7) / 8 * 8; }
  int64_t rounded_elements() const { return count * rows * rounded_ld(); }
};
inline StoredOperand stored_a(const Gemm& g) {
  return {g.a, g.trans_a ? g.k : g.m, g.trans_a ? g.m : g.k, g.lda, g.stride_a, g.batch};
}
inline StoredOperand stored_b(const Gemm& g) {
  return {g.b, g.trans_b ? g.n : g.k, g.trans_b ? g.k : g.n, g.ldb, g.stride_b, g.batch};
}

/** Bytes of both operands as bf16, one behind the other. */
inline int64_t rounded_bytes(const Gemm& g) {
  return (stored_a(g).rounded_elements() + stored_b(g).rounded_elements()) * static_cast<int64_t>(sizeof(uint16_t));
}
/** Where b begins in them. */
inline uint16_t* rounded_b(const Gemm& g, void* scratch) {
  return static_cast<uint16_t*>(scratch) + stored_a(g).rounded_elements();
}

/** Rounds both operands into `scratch`, rounded_bytes(gemm) on the device from a multiple of 16; zeros between columns and ld. */
void round_operands(const Gemm& gemm, void* scratch);

/** Whether library_gemm_bf16 can make the product: the library is installed, agrees with builtin_gemm_bf16, and has an algorithm. */
bool takes_library_gemm_bf16(const Gemm& gemm);

/** As library_gemm, of operands that round_operands left in `scratch`; products exact, sums in f32. */
bool library_gemm_bf16(const Gemm& gemm, void* scratch);

/** The product by the kernels of matmul_bf16.cu. */
void builtin_gemm_bf16(const Gemm& gemm);

/** Where products come from: the library's path, or why it is not used. */
const char* gemm_source();

}  // namespace forge::cuda
