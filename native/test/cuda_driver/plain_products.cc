#include <cmath>
#include <cstring>

#include "cuda/gemm_library.h"
#include "cuda/table.h"

/**
 * Products in plain loops in place of the kernels of matmul.cu and matmul_bf16.cu, on host memory, and the table of a device
 * that has these ops only: with it src/cuda/gemm_library.cc is tested on any machine.
 */
namespace forge::cuda {
namespace {

/** Nearest bf16, ties to even; the numbers of these tests are finite. */
uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float rounded(float value) {
  const uint32_t bits = static_cast<uint32_t>(to_bf16(value)) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

float exact(float value) { return value; }

void multiply(const Gemm& g, float (*operand)(float)) {
  for (int64_t product = 0; product < g.batch; ++product) {
    const float *const a = g.a + product * g.stride_a, *const b = g.b + product * g.stride_b;
    for (int64_t i = 0; i < g.m; ++i) {
      for (int64_t j = 0; j < g.n; ++j) {
        float sum = 0.0f;
        for (int64_t l = 0; l < g.k; ++l) {
          sum += operand(a[g.trans_a ? l * g.lda + i : i * g.lda + l]) * operand(b[g.trans_b ? j * g.ldb + l : l * g.ldb + j]);
        }
        float* const to = g.c + product * g.stride_c + i * g.ldc + j;
        *to = g.beta == 0.0f ? sum : sum + g.beta * *to;
      }
    }
  }
}

void round_matrices(const StoredOperand& s, uint16_t* to) {
  for (int64_t row = 0; row < s.count * s.rows; ++row) {
    for (int64_t column = 0; column < s.columns; ++column) {
      to[row * s.rounded_ld() + column] = to_bf16(s.x[row / s.rows * s.stride + row % s.rows * s.ldx + column]);
    }
  }
}

// Always by the library where it is: the threshold of the kernels' own file is not the matter here.
void product(const Gemm& g, float*) {
  if (!library_gemm(g)) builtin_gemm(g);
}
void rounded_product(const Gemm& g, float* scratch) {
  round_operands(g, scratch);
  if (!library_gemm_bf16(g, scratch)) builtin_gemm_bf16(g);
}
int64_t no_scratch(const Gemm&) { return 0; }

}  // namespace

void builtin_gemm(const Gemm& g) { multiply(g, exact); }
void builtin_gemm_bf16(const Gemm& g) { multiply(g, rounded); }

void round_operands(const Gemm& g, void* scratch) {
  round_matrices(stored_a(g), static_cast<uint16_t*>(scratch));
  round_matrices(stored_b(g), rounded_b(g, scratch));
}

const Kernels table = [] {
  Kernels made{};  // every other op runs on the processor
  made.gemm_scratch = no_scratch;
  made.gemm = product;
  made.gemm_bf16_scratch = rounded_bytes;
  made.gemm_bf16 = rounded_product;
  return made;
}();
const void* probe_kernel() { return &table; }

}  // namespace forge::cuda
