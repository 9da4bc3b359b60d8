#include "core/kernels.h"
#include "cpu/gemm_tile.h"

/**
 * C = op(A)·op(B) + beta·C with A and B rounded to bf16 (to nearest, ties to even) and sums in f32: matrices stay f32
 * in memory and are rounded while they are packed. Two neighbours in k share a 32-bit word, the earlier one in its
 * low half, which is what a bf16 dot product reads; a machine without that instruction multiplies the halves apart.
 * Every element of C is one sum in order of k, whatever the blocks and threads.
 */
namespace forge::FORGE_ISA {
namespace {

typedef int32_t vi_any __attribute__((vector_size(lanes * 4), aligned(4), may_alias));
typedef uint32_t vu __attribute__((vector_size(lanes * 4), may_alias));

/** Words of k per pass, so that a panel of B and the rows of a tile share L1. */
constexpr int64_t words_block = 256;
/** Words between packed rows of A: an odd number of cache lines. */
constexpr int64_t row_step = words_block + 16;
constexpr int64_t m_block_bf16 = 8 * tile_rows;

constexpr int64_t a_words = m_block_bf16 * row_step;

int64_t words_of(int64_t k) { return ceil_div(k, 2); }
int64_t passes(int64_t words) { return max64(1, ceil_div(words, words_block)); }

/** bf16 bits of each lane in its high half, low half undefined; a NaN stays one. */
vu rounded(vf x) {
  const vu bits = (vu)x;
  const vu nearest = bits + 0x7fffu + ((bits >> 16) & 1u);
  return (bits & 0x7fffffffu) > 0x7f800000u ? bits | 0x400000u : nearest;
}
uint32_t rounded_one(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return bits | 0x400000u;
  return bits + 0x7fffu + ((bits >> 16) & 1u);
}

vu word(vu early, vu late) { return (early >> 16) | (late & 0xffff0000u); }
uint32_t word_of(float early, float late) {
  return (rounded_one(early) >> 16) | (rounded_one(late) & 0xffff0000u);
}

/** acc += the dot products of the pairs in a and b. */
inline vf dot_pairs(vf acc, vu a, vu b) {
#if defined(__AVX512BF16__)
  return (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)a, (__m512bh)b);
#else
  acc += (vf)(a << 16) * (vf)(b << 16);
  acc += (vf)(a & 0xffff0000u) * (vf)(b & 0xffff0000u);
  return acc;
#endif
}

template <int R, int V>
void tile_bf16(int64_t words, const uint32_t* a, const uint32_t* b, float* c, int64_t ldc, int64_t n, float beta) {
  vf acc[R][V] = {};
  for (int64_t i = 0; i < words; ++i) {
    vu bv[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) bv[v] = (vu) * reinterpret_cast<const vi_any*>(b + i * panel + v * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const vu av = (vu)splat_i(static_cast<int32_t>(a[r * row_step + i]));
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) acc[r][v] = dot_pairs(acc[r][v], av, bv[v]);
    }
  }
  const vf scale = splat(beta);
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) {
      const int64_t here = min64(lanes, n - v * lanes);
      if (here <= 0) continue;
      float* at = c + r * ldc + v * lanes;
      store_n(at, beta == 0.0f ? acc[r][v] : acc[r][v] + scale * load_n(at, here), here);
    }
  }
}

using TileBf16 = void (*)(int64_t, const uint32_t*, const uint32_t*, float*, int64_t, int64_t, float);
template <int R>
struct TilesBf16 : TilesBf16<R - 1> {
  constexpr TilesBf16() {
    this->entry[R - 1][0] = tile_bf16<R, 1>;
    this->entry[R - 1][1] = tile_bf16<R, 2>;
  }
};
template <>
struct TilesBf16<0> {
  TileBf16 entry[tile_rows][tile_vectors] = {};
};
constexpr TilesBf16<tile_rows> tiles_bf16{};

/** Words first … first+count of panel j of op(B), zero-padded, to dst[count][panel]. */
void pack_panel_bf16(const Gemm& g, const float* b, int64_t j, int64_t first, int64_t count, uint32_t* dst) {
  const int64_t columns = min64(panel, g.n - j * panel);
  if (g.trans_b) {
    for (int64_t c = 0; c < panel; ++c) {
      const float* row = b + (j * panel + c) * g.ldb;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t k = 2 * (first + i);
        dst[i * panel + c] = c < columns ? word_of(row[k], k + 1 < g.k ? row[k + 1] : 0.0f) : 0;
      }
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const int64_t k = 2 * (first + i);
    const float* early = b + k * g.ldb + j * panel;
    for (int v = 0; v < tile_vectors; ++v) {
      const int64_t here = max64(0, min64(lanes, columns - v * lanes));
      const vf low = load_n(early + v * lanes, here);
      const vf high = k + 1 < g.k ? load_n(early + g.ldb + v * lanes, here) : vf{};
      *reinterpret_cast<vi_any*>(dst + i * panel + v * lanes) = (vi)word(rounded(low), rounded(high));
    }
  }
}

/** Words first … first+count of rows m0 … m0+rows of op(A), to dst[rows][row_step]. */
void pack_rows_bf16(const Gemm& g, const float* a, int64_t m0, int64_t rows, int64_t first, int64_t count,
                    uint32_t* dst) {
  const int64_t along_m = g.trans_a ? 1 : g.lda, along_k = g.trans_a ? g.lda : 1;
  const auto pack = [&](int64_t r, int64_t i) {
    const float* at = a + (m0 + r) * along_m + 2 * (first + i) * along_k;
    dst[r * row_step + i] = word_of(at[0], 2 * (first + i) + 1 < g.k ? at[along_k] : 0.0f);
  };
  // Along the rows of memory, whichever way they run.
  if (g.trans_a) {
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t r = 0; r < rows; ++r) pack(r, i);
    }
  } else {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < count; ++i) pack(r, i);
    }
  }
}

void multiply_bf16(const Gemm& g, const float* a, const float* b, float* c, uint32_t* scratch) {
  const int64_t words = words_of(g.k), panels = ceil_div(g.n, panel);
  uint32_t* packed = scratch + worker_count() * a_words;
  const int64_t tiles_high = ceil_div(g.m, tile_rows);
  const int64_t blocks = min64(tiles_high, ceil_div(ceil_div(g.m, m_block_bf16), worker_count()) * worker_count());
  for (int64_t pass = 0; pass < passes(words); ++pass) {
    const int64_t first = pass * words / passes(words), count = (pass + 1) * words / passes(words) - first;
    const float beta = pass == 0 ? g.beta : 1.0f;
    parallel_for(panels, [&](int64_t j, int) { pack_panel_bf16(g, b, j, first, count, packed + j * panel * count); });
    parallel_for(blocks, [&](int64_t block, int worker) {
      const int64_t m0 = block * g.m / blocks, rows = (block + 1) * g.m / blocks - m0;
      uint32_t* a_packed = scratch + worker * a_words;
      pack_rows_bf16(g, a, m0, rows, first, count, a_packed);
      for (int64_t j = 0; j < panels; ++j) {
        const int64_t columns = min64(panel, g.n - j * panel);
        for (int64_t t = 0; t < ceil_div(rows, tile_rows); ++t) {
          const int64_t top = tile_start(t, rows), height = tile_start(t + 1, rows) - top;
          tiles_bf16.entry[height - 1][columns > lanes ? 1 : 0](count, a_packed + top * row_step,
                                                                packed + j * panel * count,
                                                                c + (m0 + top) * g.ldc + j * panel, g.ldc, columns, beta);
        }
      }
    });
  }
}

}  // namespace

int64_t gemm_bf16_scratch(const Gemm& g) {
  const int64_t words = words_of(g.k), longest = ceil_div(words, passes(words));
  return 4 * (worker_count() * a_words + ceil_div(g.n, panel) * panel * longest);
}

void gemm_bf16(const Gemm& g, float* scratch) {
  if (g.m == 0 || g.n == 0) return;
  for (int64_t i = 0; i < g.batch; ++i) {
    multiply_bf16(g, g.a + i * g.stride_a, g.b + i * g.stride_b, g.c + i * g.stride_c,
                  reinterpret_cast<uint32_t*>(scratch));
  }
}

}  // namespace forge::FORGE_ISA
