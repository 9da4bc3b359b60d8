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

struct Rounded {
  const float* x;
  int64_t rows, columns, ldx, stride;
  int64_t ld() const { return (columns + 7) / 8 * 8; }
};

Rounded of_a(const Gemm& g) { return {g.a, g.trans_a ? g.k : g.m, g.trans_a ? g.m : g.k, g.lda, g.stride_a}; }
Rounded of_b(const Gemm& g) { return {g.b, g.trans_b ? g.n : g.k, g.trans_b ? g.k : g.n, g.ldb, g.stride_b}; }

uint16_t* round_to(const Rounded& r, int64_t count, uint16_t* to) {
  for (int64_t row = 0; row < count * r.rows; ++row) {
    for (int64_t column = 0; column < r.columns; ++column) {
      to[row * r.ld() + column] = to_bf16(r.x[row / r.rows * r.stride + row % r.rows * r.ldx + column]);
    }
  }
  return to + count * r.rows * r.ld();
}

// Always by the library where it is: the threshold of the kernels' own file is not the matter here.
void product(const Gemm& g, float*) {
  if (!library_gemm(g)) builtin_gemm(g);
}
void rounded_product(const Gemm& g, float* scratch) {
  if (!has_library_gemm_bf16() || !library_gemm_bf16(g, round_operands(g, scratch))) builtin_gemm_bf16(g);
}
int64_t no_scratch(const Gemm&) { return 0; }

}  // namespace

void builtin_gemm(const Gemm& g) { multiply(g, exact); }
void builtin_gemm_bf16(const Gemm& g) { multiply(g, rounded); }

int64_t rounded_bytes(const Gemm& g) {
  return 2 * g.batch * (of_a(g).rows * of_a(g).ld() + of_b(g).rows * of_b(g).ld());
}
RoundedOperands round_operands(const Gemm& g, void* scratch) {
  const Rounded a = of_a(g), b = of_b(g);
  auto* const to_a = static_cast<uint16_t*>(scratch);
  uint16_t* const to_b = round_to(a, g.batch, to_a);
  round_to(b, g.batch, to_b);
  return {to_a, to_b, a.ld(), b.ld(), a.rows * a.ld(), b.rows * b.ld()};
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
