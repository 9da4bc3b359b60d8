#pragma once
/** Products with very few rows (decoding): B is read once, in place, which is all the work there is. */
#include "core/kernels.h"
#include "cpu/simd.h"

namespace forge::FORGE_ISA {

static inline void put_c(float* c, float value, float beta) { *c = beta == 0.0f ? value : value + beta * *c; }

/** c[r, j] = Σ a[r, i]·b[j, i] for J rows j of a transposed B; every sum has the same order for any J. */
template <int R, int J>
static void thin_dot(const float* a, int64_t k, const float* b, int64_t ldb, float* c, int64_t ldc, float beta) {
  vf acc[R][J] = {};
  for (int64_t i = 0; i < k; i += lanes) {
    const int64_t n = k - i;
    vf bv[J];
    for (int j = 0; j < J; ++j) bv[j] = n >= lanes ? load(b + j * ldb + i) : load_n(b + j * ldb + i, n);
    for (int r = 0; r < R; ++r) {
      const vf av = n >= lanes ? load(a + r * k + i) : load_n(a + r * k + i, n);
      for (int j = 0; j < J; ++j) acc[r][j] += av * bv[j];
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int j = 0; j < J; ++j) put_c(c + r * ldc + j, sum_lanes(acc[r][j]), beta);
  }
}

/** c[r, 0..n) = Σ_i a[r, i]·b[i, 0..n), n ≤ 2·lanes. */
template <int R>
static void thin_columns(const float* a, int64_t k, const float* b, int64_t ldb, float* c, int64_t ldc, int64_t n,
                         float beta) {
  vf acc[R][2] = {};
  const int64_t n0 = min64(n, lanes), n1 = n - n0;
  for (int64_t i = 0; i < k; ++i) {
    const float* row = b + i * ldb;
    const vf b0 = n0 == lanes ? load(row) : load_n(row, n0);
    const vf b1 = n1 == lanes ? load(row + lanes) : (n1 > 0 ? load_n(row + lanes, n1) : vf{});
    for (int r = 0; r < R; ++r) {
      const vf av = splat(a[r * k + i]);
      acc[r][0] += av * b0;
      acc[r][1] += av * b1;
    }
  }
  for (int r = 0; r < R; ++r) {
    float out[2 * lanes];
    store(out, acc[r][0]);
    store(out + lanes, acc[r][1]);
    for (int64_t j = 0; j < n; ++j) put_c(c + r * ldc + j, out[j], beta);
  }
}

template <int R>
static void thin_rows_of(const Gemm& g, const float* a, const float* b, float* c) {
  const int64_t piece = g.trans_b ? max64(1, 65536 / max64(1, g.k)) : 2 * lanes;
  parallel_for(ceil_div(g.n, piece), [&](int64_t index, int) {
    const int64_t begin = index * piece, end = min64(g.n, begin + piece);
    if (!g.trans_b) return thin_columns<R>(a, g.k, b + begin, g.ldb, c + begin, g.ldc, end - begin, g.beta);
    int64_t j = begin;
    for (; j + 4 <= end; j += 4) thin_dot<R, 4>(a, g.k, b + j * g.ldb, g.ldb, c + j, g.ldc, g.beta);
    for (; j < end; ++j) thin_dot<R, 1>(a, g.k, b + j * g.ldb, g.ldb, c + j, g.ldc, g.beta);
  });
}

/** scratch: m·k floats, for the rows of op(A). */
static void multiply_thin(const Gemm& g, const float* a, const float* b, float* c, float* scratch) {
  for (int64_t r = 0; r < g.m; ++r) {
    for (int64_t i = 0; i < g.k; ++i) scratch[r * g.k + i] = g.trans_a ? a[i * g.lda + r] : a[r * g.lda + i];
  }
  switch (g.m) {
    case 1: return thin_rows_of<1>(g, scratch, b, c);
    case 2: return thin_rows_of<2>(g, scratch, b, c);
    case 3: return thin_rows_of<3>(g, scratch, b, c);
    default: return thin_rows_of<4>(g, scratch, b, c);
  }
}

}  // namespace forge::FORGE_ISA
