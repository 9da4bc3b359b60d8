#include "cpu/ternary.h"

/**
 * The same product with AVX-512 VNNI: four multiplications, their sum and the addition are one instruction, so a chunk
 * of 256 weights costs four masks and four products. Not a build of its own: only this kernel gains.
 */
#if defined(__AVX512F__)

namespace forge::FORGE_ISA {
namespace {

/** Rows of x per pass: 6·4 sums, 4 masked codes and 4 masks fill the 32 registers. */
constexpr int64_t most_rows = 6;

/**
 * total + codes · x of four columns, for 16 rows. As text because compilers copy registers around the intrinsic and load
 * x on its own, which costs more than the arithmetic; and so the file needs no flag that lets VNNI leak elsewhere.
 */
inline __m512i add_products(__m512i total, __m512i codes, const int8_t* x) {
  struct Columns {
    int8_t values[4];
  };
  __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(total) : "v"(codes), "m"(*reinterpret_cast<const Columns*>(x)));
  return total;
}

/** Sums of codes that lie 2i bits to the left, back in place. Exact: every term is a multiple of 4^i. */
inline __m512i joined(__m512i by_0, __m512i by_2, __m512i by_4, __m512i by_6) {
  return _mm512_add_epi32(_mm512_add_epi32(by_0, _mm512_srai_epi32(by_2, 2)),
                          _mm512_add_epi32(_mm512_srai_epi32(by_4, 4), _mm512_srai_epi32(by_6, 6)));
}

template <int M>
void panel_sums(const uint8_t* packed, const int8_t* x, int64_t stride, int64_t chunks, int32_t* sums) {
  // One row alone alternates between two sets of sums: a product takes five cycles, and one set is due after four.
  constexpr int sets = M == 1 ? 2 : 1;
  // Every loop over the sums is unrolled, or they would live in memory.
  __m512i total[sets][M][4];
#pragma GCC unroll 2
  for (int s = 0; s < sets; ++s) {
#pragma GCC unroll 6
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) total[s][m][i] = _mm512_setzero_si512();
    }
  }
  int64_t c = 0;
  const auto step = [&](int s) {
    const __m512i v = _mm512_loadu_si512(packed + c * ternary_chunk_bytes);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m512i codes = _mm512_and_si512(v, _mm512_set1_epi8(static_cast<char>(3 << (2 * i))));
#pragma GCC unroll 6
      for (int m = 0; m < M; ++m) {
        total[s][m][i] = add_products(total[s][m][i], codes, x + m * stride + c * ternary_chunk + 4 * i);
      }
    }
    ++c;
  };
  while (c + sets <= chunks) {
#pragma GCC unroll 2
    for (int s = 0; s < sets; ++s) step(s);
  }
  while (c < chunks) step(0);
#pragma GCC unroll 6
  for (int m = 0; m < M; ++m) {
    __m512i sum = _mm512_setzero_si512();
#pragma GCC unroll 2
    for (int s = 0; s < sets; ++s) {
      sum = _mm512_add_epi32(sum, joined(total[s][m][0], total[s][m][1], total[s][m][2], total[s][m][3]));
    }
    _mm512_storeu_si512(sums + m * ternary_panel, sum);
  }
}

template <int M>
void product_rows(const TernaryMatmul& p, int64_t panel, int64_t row) {
  const int64_t chunks = ternary_chunks(p.k);
  int32_t sums[M * ternary_panel];
  panel_sums<M>(p.packed + panel * chunks * ternary_chunk_bytes, p.x + row * p.stride, p.stride, chunks, sums);
  ternary_store(p, sums, row, M, panel);
}

}  // namespace

void ternary_matmul_vnni(const TernaryMatmul& p);

static void product_panel(const TernaryMatmul& p, int64_t panel, int64_t row, int64_t rows) {
  const int64_t end = row + rows;
  for (; row + most_rows <= end; row += most_rows) product_rows<most_rows>(p, panel, row);
  for (; row + 2 <= end; row += 2) product_rows<2>(p, panel, row);
  if (row < end) product_rows<1>(p, panel, row);
}

void ternary_matmul_vnni(const TernaryMatmul& p) {
  ternary_tiles(p, [&](int64_t panel, int64_t row, int64_t rows) { product_panel(p, panel, row, rows); });
}

}  // namespace forge::FORGE_ISA
#endif
