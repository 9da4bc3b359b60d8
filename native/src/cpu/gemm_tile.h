#pragma once
/**
 * The register tile that every dense product is made of: C[R, n] = A[R, k] · B[k, n] with n ≤ panel.
 * B comes in packed panels: `panel` columns side by side, row after row, zero-padded. A comes either as
 * rows with the fixed stride `a_stride` (a constant, so that a row is an address offset and costs no
 * register), or column by column. R·vectors accumulators stay in registers for the whole of k. `ahead` is
 * memory to prefetch to L2, one touch per step of k.
 */
#include "cpu/simd.h"

namespace forge::FORGE_ISA {

#if defined(__AVX512F__)
constexpr int tile_rows = 14;  // 14 × 2 accumulators, 2 of B, 1 of A: 31 of 32 registers
#elif defined(__AVX2__)
constexpr int tile_rows = 6;  // 6 × 2 accumulators, 2 of B, 1 of A: 15 of 16 registers
#elif defined(__aarch64__)
constexpr int tile_rows = 12;
#else
constexpr int tile_rows = 6;
#endif
constexpr int tile_vectors = 2;
/** Columns of a packed panel of B. */
constexpr int64_t panel = tile_vectors * lanes;
/** Longest k of one pass: long enough to spread the traffic of C, short enough for A's block to stay in L2. */
constexpr int64_t k_block = 512;
/** Stride of packed rows of A: an odd number of cache lines, so that the rows of a tile fall into different L1 sets. */
constexpr int64_t a_stride = k_block + 16;

/**
 * Columns of A that are fetched to L1 ahead of their use when A lies column by column: each begins a cache line of its
 * own, and waiting for L2 took a sixth of the time of weight gradients.
 */
constexpr int64_t columns_ahead = 8;

/** Floats per column of a packed tile of A in the tiles layout. */
constexpr int64_t tile_step = (tile_rows + lanes - 1) / lanes * lanes;

/** rows: row r at r·a_stride. columns: column i at i·a_step. tiles: tile t at t·a_step, its columns tile_step apart. */
enum class ALayout { rows, columns, tiles };

/**
 * Whether row r of a tile broadcasts inside the multiply-add (one micro-op fewer, one load more) instead of
 * once for all vectors. Every other row keeps both the front end and the load ports below the
 * multiply-add ports, also when two hyper-threads share them.
 */
static constexpr bool broadcasts_in_place(int r) {
#if defined(__AVX512F__)
  return r % 2 == 1;
#else
  return r < 0;
#endif
}

/** acc += b · *a. */
static inline void multiply_add_broadcast(vf& acc, vf b, const float& a) {
#if defined(__AVX512F__)
  asm("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(b), "m"(a));  // the compiler would share the broadcast
#else
  acc += b * splat(a);
#endif
}

template <int R, int V, ALayout L>
static void tile(int64_t k, const float* a, int64_t a_step, const float* b, float* c, int64_t ldc, int64_t n,
                 float beta, const float* ahead, int64_t ahead_step) {
  // C arrives while the products are summed. Kept a rolled loop: unrolled, it costs the next one registers.
#pragma GCC unroll 1
  for (int r = 0; r < R; ++r) {
    __builtin_prefetch(c + r * ldc, 1);
    __builtin_prefetch(c + r * ldc + (V - 1) * lanes, 1);
  }
  vf acc[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) acc[r][v] = vf{};
  }
  for (int64_t i = 0; i < k; ++i) {
    __builtin_prefetch(ahead, 0, 2);
    ahead += ahead_step;
    if (L != ALayout::rows) __builtin_prefetch(a + columns_ahead * (L == ALayout::tiles ? tile_step : a_step));
    vf bv[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) bv[v] = load(b + v * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const float* ar = L == ALayout::rows ? a + r * a_stride : a + r;
      if (broadcasts_in_place(r)) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) multiply_add_broadcast(acc[r][v], bv[v], *ar);
      } else {
        const vf av = splat(*ar);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[r][v] += av * bv[v];
      }
    }
    a += L == ALayout::rows ? 1 : (L == ALayout::tiles ? tile_step : a_step);
    b += panel;
  }
  const vf scale = splat(beta);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    float* row = c + r * ldc;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const int64_t here = n - v * lanes;
      if (here >= lanes) {
        store(row + v * lanes, beta == 0.0f ? acc[r][v] : acc[r][v] + scale * load(row + v * lanes));
      } else if (here > 0) {
        store_n(row + v * lanes, beta == 0.0f ? acc[r][v] : acc[r][v] + scale * load_n(row + v * lanes, here), here);
      }
    }
  }
}

using TileFunction = void (*)(int64_t, const float*, int64_t, const float*, float*, int64_t, int64_t, float, const float*,
                              int64_t);

template <int R, ALayout L>
struct TileTable : TileTable<R - 1, L> {
  constexpr TileTable() {
    this->entry[R - 1][0] = tile<R, 1, L>;
    this->entry[R - 1][1] = tile<R, 2, L>;
  }
};
template <ALayout L>
struct TileTable<0, L> {
  TileFunction entry[tile_rows][tile_vectors] = {};
};

/** The tile function of R rows and V vectors: tiles<L>.entry[R−1][V−1]. */
template <ALayout L>
static constexpr TileTable<tile_rows, L> tiles{};

/** First row of tile t of m rows. Even heights: 256 rows are 18 tiles of 13 or 14, not 18 of 14 and one of 4. */
static inline int64_t tile_start(int64_t t, int64_t m) { return t * m / ceil_div(m, tile_rows); }

/**
 * C[m, n] = A[m, k] · B[k, n] + beta·C for one k pass (rows layout: k ≤ k_block).
 * @param a            in one of the layouts
 * @param b            panels; panel j at b + j·panel_step
 */
template <ALayout L>
static void multiply_packed(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_step, const float* b,
                            int64_t panel_step, float* c, int64_t ldc, float beta) {
  const int64_t row_tiles = ceil_div(m, tile_rows), ahead_step = panel / row_tiles;
  for (int64_t j = 0; j * panel < n; ++j) {
    const int64_t columns = min64(panel, n - j * panel);
    const int vectors = columns > lanes ? 2 : 1;
    // Each tile fetches its share of the next panel from L3 to L2.
    const float* next = b + ((j + 1) * panel < n ? j + 1 : j) * panel_step;
    for (int64_t t = 0; t < row_tiles; ++t) {
      const int64_t first = tile_start(t, m), height = tile_start(t + 1, m) - first;
      const float* at = a + (L == ALayout::rows ? first * a_stride : (L == ALayout::tiles ? t * a_step : first));
      tiles<L>.entry[height - 1][vectors - 1](k, at, a_step, b + j * panel_step, c + first * ldc + j * panel, ldc,
                                              columns, beta, next + t * ahead_step * k, ahead_step);
    }
  }
}

/** Element l of the result is element index[l] of p followed by q. */
static inline vf shuffle_pair(vf p, vf q, vi index) {
#ifdef __clang__  // has no shuffle by a vector; the indices are constants after unrolling
  vf y;
  for (int l = 0; l < lanes; ++l) y[l] = index[l] < lanes ? p[index[l]] : q[index[l] - lanes];
  return y;
#else
  return __builtin_shuffle(p, q, index);
#endif
}

/** lanes × lanes transpose of rows x + i·ldx (n_rows, n_columns ≤ lanes valid) to y + i·ldy; fills all lanes of lanes rows. */
static inline void transpose_block(const float* x, int64_t ldx, int64_t n_rows, int64_t n_columns, float* y,
                                   int64_t ldy) {
  vf r[lanes];
  if (n_rows == lanes && n_columns == lanes) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) r[i] = load(x + i * ldx);
  } else {
    for (int i = 0; i < lanes; ++i) r[i] = i < n_rows ? load_n(x + i * ldx, n_columns) : vf{};
  }
#pragma GCC unroll 4
  for (int h = lanes / 2; h > 0; h /= 2) {
    vi low, high;
#pragma GCC unroll 16
    for (int l = 0; l < lanes; ++l) {
      low[l] = (l & h) == 0 ? l : lanes + l - h;
      high[l] = (l & h) == 0 ? l + h : lanes + l;
    }
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) {
      if ((i & h) != 0) continue;
      const vf p = r[i], q = r[i + h];
      r[i] = shuffle_pair(p, q, low);
      r[i + h] = shuffle_pair(p, q, high);
    }
  }
  for (int i = 0; i < min64(lanes, n_columns); ++i) store(y + i * ldy, r[i]);
}

/** Packs columns j·panel … of B[k, n], stored as rows of k: dst[k][panel], zero-padded. */
static inline void pack_panel(const float* b, int64_t ldb, int64_t n, int64_t k, int64_t j, float* dst) {
  const int64_t columns = min64(panel, n - j * panel);
  const float* src = b + j * panel;
  for (int64_t i = 0; i < k; ++i, src += ldb, dst += panel) {
#pragma GCC unroll 2
    for (int v = 0; v < tile_vectors; ++v) {
      const int64_t here = columns - v * lanes;
      store(dst + v * lanes, here >= lanes ? load(src + v * lanes) : (here > 0 ? load_n(src + v * lanes, here) : vf{}));
    }
  }
}

/** The same for B stored transposed, as rows of n. */
static inline void pack_panel_transposed(const float* b, int64_t ldb, int64_t n, int64_t k, int64_t j, float* dst) {
  const int64_t columns = min64(panel, n - j * panel);
  for (int v = 0; v < tile_vectors; ++v) {
    const int64_t here = max64(0, min64(lanes, columns - v * lanes));
    const float* src = b + (j * panel + v * lanes) * ldb;
    for (int64_t i = 0; i < k; i += lanes) {
      transpose_block(src + i, ldb, here, min64(lanes, k - i), dst + i * panel + v * lanes, panel);
    }
  }
}

/** Copies rows of A[m, k] to the rows layout. */
static inline void pack_rows(const float* a, int64_t lda, int64_t m, int64_t k, float* dst) {
  for (int64_t r = 0; r < m; ++r) {
    const float* src = a + r * lda;
    float* to = dst + r * a_stride;
    int64_t i = 0;
    for (; i + lanes <= k; i += lanes) store(to + i, load(src + i));
    if (i < k) store(to + i, load_n(src + i, k - i));
  }
}

/** Columns i0..i1 of one tile; `valid` elements may be read from each stored row. */
static inline void pack_tile(const float* src, int64_t lda, int64_t valid, int64_t i0, int64_t i1, float* to) {
  for (int64_t i = i0; i < i1; ++i) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < tile_step; v += lanes) {
      const int64_t here = valid - v;
      // A whole vector may take the neighbours' columns along; nobody reads them.
      if (here >= lanes) store(to + i * tile_step + v, load(src + i * lda + v));
      else if (here > 0) store(to + i * tile_step + v, load_n(src + i * lda + v, here));
    }
  }
}

/** Copies m columns of A stored transposed, [k][lda], to the tiles layout with a_step = k·tile_step. */
static inline void pack_tiles(const float* a, int64_t lda, int64_t m, int64_t k, float* dst) {
  constexpr int64_t chunk = 16;  // stored rows at a time, so that each cache line is read while it is in L1
  for (int64_t i0 = 0; i0 < k; i0 += chunk) {
    for (int64_t t = 0; t < ceil_div(m, tile_rows); ++t) {
      const int64_t first = tile_start(t, m);
      pack_tile(a + first, lda, m - first, i0, min64(k, i0 + chunk), dst + t * k * tile_step);
    }
  }
}

}  // namespace forge::FORGE_ISA
