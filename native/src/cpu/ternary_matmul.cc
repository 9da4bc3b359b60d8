#include "cpu/ternary.h"

/**
 * int8 × ternary products with exact int32 sums. Each path computes, for one panel of 16 weight rows and a few rows of x,
 * Σ code·x into sums[row][16]; ternary.h has the layout and what follows.
 */
namespace forge::FORGE_ISA {
namespace {

#if defined(__AVX2__)

#if defined(__AVX512F__)
typedef __m512i wide;
static inline wide load_wide(const uint8_t* p) { return _mm512_loadu_si512(p); }
static inline void store_wide(int32_t* p, wide v) { _mm512_storeu_si512(p, v); }
static inline wide zero_wide() { return _mm512_setzero_si512(); }
static inline wide four_columns(const int8_t* x) {
  int32_t word;
  memcpy(&word, x, 4);
  return _mm512_set1_epi32(word);
}
static inline wide codes_of(wide v, int shift) {
  return _mm512_and_si512(_mm512_srli_epi16(v, static_cast<unsigned>(shift)), _mm512_set1_epi8(3));
}
static inline wide add_products(wide sum, wide codes, wide x) {
  return _mm512_add_epi16(sum, _mm512_maddubs_epi16(codes, x));
}
static inline wide add_pairs(wide total, wide sum) {
  return _mm512_add_epi32(total, _mm512_madd_epi16(sum, _mm512_set1_epi16(1)));
}
#else
typedef __m256i wide;
static inline wide load_wide(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
static inline void store_wide(int32_t* p, wide v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
static inline wide zero_wide() { return _mm256_setzero_si256(); }
static inline wide four_columns(const int8_t* x) {
  int32_t word;
  memcpy(&word, x, 4);
  return _mm256_set1_epi32(word);
}
static inline wide codes_of(wide v, int shift) {
  return _mm256_and_si256(_mm256_srli_epi16(v, shift), _mm256_set1_epi8(3));
}
static inline wide add_products(wide sum, wide codes, wide x) {
  return _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, x));
}
static inline wide add_pairs(wide total, wide sum) {
  return _mm256_add_epi32(total, _mm256_madd_epi16(sum, _mm256_set1_epi16(1)));
}
#endif

/** Rows of a panel that one vector of sums covers. */
constexpr int64_t wide_rows = sizeof(wide) / 4;
constexpr int64_t most_rows = 4;

/**
 * Pairs of products add up in int16: a code times x is at most 2·128, a chunk adds four pairs to each lane, so 15
 * chunks stay within 15 · 4 · 512 = 30720. One or two rows of x take all rows of the panel at once, so that weights
 * stream in whole lines; more rows would not fit the registers.
 */
template <int M>
void panel_sums(const uint8_t* packed, const int8_t* x, int64_t stride, int64_t chunks, int32_t* sums) {
  constexpr int64_t chunks_at_once = 15;
  constexpr int parts = M <= 2 ? ternary_panel / wide_rows : 1;
  for (int64_t row = 0; row < ternary_panel; row += parts * wide_rows) {
    wide totals[parts][M];
#pragma GCC unroll 2
    for (int p = 0; p < parts; ++p) {
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m) totals[p][m] = zero_wide();
    }
    for (int64_t begin = 0; begin < chunks; begin += chunks_at_once) {
      wide pairs[parts][M];
#pragma GCC unroll 2
      for (int p = 0; p < parts; ++p) {
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m) pairs[p][m] = zero_wide();
      }
      const int64_t end = min64(chunks, begin + chunks_at_once);
      for (int64_t c = begin; c < end; ++c) {
        const int8_t* columns = x + c * ternary_chunk;
        const uint8_t* chunk = packed + c * ternary_chunk_bytes + row * 4;
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
#pragma GCC unroll 2
          for (int p = 0; p < parts; ++p) {
            const wide codes = codes_of(load_wide(chunk + p * sizeof(wide)), 2 * i);
#pragma GCC unroll 4
            for (int m = 0; m < M; ++m) {
              pairs[p][m] = add_products(pairs[p][m], codes, four_columns(columns + m * stride + 4 * i));
            }
          }
        }
      }
#pragma GCC unroll 2
      for (int p = 0; p < parts; ++p) {
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m) totals[p][m] = add_pairs(totals[p][m], pairs[p][m]);
      }
    }
#pragma GCC unroll 2
    for (int p = 0; p < parts; ++p) {
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m) store_wide(sums + m * ternary_panel + row + p * wide_rows, totals[p][m]);
    }
  }
}

#else

typedef int16_t pairs_t __attribute__((vector_size(16), may_alias));
constexpr int64_t most_rows = 1;

/** Four rows at a time; bytes 0, 2 and 1, 3 of a row's word become int16 lanes. int16 sums hold 15 chunks, as above. */
template <int M>
void panel_sums(const uint8_t* packed, const int8_t* x, int64_t, int64_t chunks, int32_t* sums) {
  constexpr int64_t chunks_at_once = 15, rows_at_once = 4;
  for (int64_t part = 0; part < ternary_panel; part += rows_at_once) {
    int32_t totals[rows_at_once] = {};
    for (int64_t begin = 0; begin < chunks; begin += chunks_at_once) {
      pairs_t sum = {};
      for (int64_t c = begin; c < min64(chunks, begin + chunks_at_once); ++c) {
        pairs_t words;
        memcpy(&words, packed + c * ternary_chunk_bytes + part * 4, sizeof words);
        for (int i = 0; i < 4; ++i) {
          const int8_t* q = x + c * ternary_chunk + 4 * i;
          const int16_t x0 = q[0], x1 = q[1], x2 = q[2], x3 = q[3];
          const pairs_t even = {x0, x2, x0, x2, x0, x2, x0, x2}, odd = {x1, x3, x1, x3, x1, x3, x1, x3};
          sum += (words >> (2 * i) & 3) * even + (words >> (2 * i + 8) & 3) * odd;
        }
      }
      for (int64_t r = 0; r < rows_at_once; ++r) totals[r] += sum[2 * r] + sum[2 * r + 1];
    }
    memcpy(sums + part, totals, sizeof totals);
  }
}

#endif

template <int M>
void product_rows(const TernaryMatmul& p, int64_t panel, int64_t row) {
  const int64_t chunks = ternary_chunks(p.k);
  int32_t sums[M * ternary_panel];
  panel_sums<M>(p.packed + panel * chunks * ternary_chunk_bytes, p.x + row * p.stride, p.stride, chunks, sums);
  ternary_store(p, sums, row, M, panel);
}

}  // namespace

void ternary_matmul(const TernaryMatmul& p) {
  ternary_tiles(p, [&](int64_t panel, int64_t row, int64_t rows) {
    const int64_t end = row + rows;
    for (; row + most_rows <= end; row += most_rows) product_rows<most_rows>(p, panel, row);
    if constexpr (most_rows > 2) {
      for (; row + 2 <= end; row += 2) product_rows<2>(p, panel, row);
    }
    for (; row < end; ++row) product_rows<1>(p, panel, row);
  });
}

}  // namespace forge::FORGE_ISA
