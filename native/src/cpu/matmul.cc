#include "core/kernels.h"
#include "cpu/gemm_thin.h"
#include "cpu/gemm_tile.h"

/**
 * C = op(A)·op(B) + beta·C after Goto & van de Geijn 2008, with B as the shared packed operand: a slab of op(B), all
 * its rows or those of one pass over k, is packed into panels (in parallel), then each task takes a block of rows and
 * a span of panels, and walks the slab in passes of at most k_block, copying its block of A so that it stays in L2.
 * Every element of C is one sum in order of k, whatever the slabs, blocks and threads.
 */
namespace forge::FORGE_ISA {
namespace {

constexpr int64_t m_block = 8 * tile_rows;  // 112 × 528 × 4 = 231 KiB of A: a share of L2
constexpr int64_t n_block = 64 * panel;     // 2048 × 512 × 4 = 4 MiB of packed B: a share of L3
constexpr int64_t thin_rows = 4;            // fewer rows than this do not pay for packing B

// A transposed A is stored by k: blocks of twice as many columns are read in longer stretches, and passes are
// shorter for it: 16 × 384 × 16 × 4 = 384 KiB.
constexpr int64_t m_block_transposed = 16 * tile_rows;
constexpr int64_t k_block_transposed = 384;

int64_t round_up(int64_t n, int64_t multiple) { return ceil_div(n, multiple) * multiple; }

/** Floats of packed A per worker: m·a_stride as rows, m/tile_rows·k·tile_step as tiles. */
constexpr int64_t a_tiles = m_block_transposed / tile_rows * k_block_transposed * tile_step;
constexpr int64_t a_scratch = m_block * a_stride > a_tiles ? m_block * a_stride : a_tiles;

/** A part of k. */
struct Range {
  int64_t first, length;
};
Range part_of(Range whole, int64_t index, int64_t parts) {
  const int64_t first = index * whole.length / parts;
  return {whole.first + first, (index + 1) * whole.length / parts - first};
}

int64_t passes(const Gemm& g) { return max64(1, ceil_div(g.k, g.trans_a ? k_block_transposed : k_block)); }

/** Blocks of rows of C. */
int64_t row_blocks(const Gemm& g) { return ceil_div(g.m, g.trans_a ? m_block_transposed : m_block); }

/**
 * Parts of k whose rows of B are packed together. A slab of one pass keeps packed B close to the core, at the price
 * of going over C once a pass: worth it when C is the smaller of the two (weight gradients).
 */
int64_t slabs(const Gemm& g) { return g.k >= 2 * g.m ? passes(g) : 1; }

/** Floats of one packed panel of a slab, in whole vectors. */
int64_t panel_step(const Gemm& g) { return panel * round_up(ceil_div(g.k, slabs(g)), lanes); }

/** Floats of packed B. */
int64_t packed_b(const Gemm& g) { return ceil_div(min64(g.n, n_block), panel) * panel_step(g); }

bool is_thin(const Gemm& g) { return g.m <= thin_rows; }

/** Whether whole products are given to threads, instead of parts of each. */
bool splits_batch(const Gemm& g) { return g.batch >= 2 * worker_count() && g.n <= n_block; }

/** Floats of B that a thread packs at a time. */
constexpr int64_t pack_grain = 16384;
/** Rows of B whose panels are packed one after another: they stay in L1 in between. */
constexpr int64_t rows_at_once = 16;

int64_t panels_per_piece(Range slab) { return max64(1, pack_grain / (panel * max64(1, slab.length))); }
int64_t rows_per_piece(int64_t columns) { return max64(rows_at_once, pack_grain / columns); }

/**
 * Pieces that packing B is split into. A transposed B is packed by panels, whose columns lie one after another; any
 * other by rows, all panels at once, so that memory is read in its order. A piece should outlast the hand-over to a thread.
 */
int64_t pack_pieces(const Gemm& g, int64_t columns, Range slab) {
  const int64_t panels = ceil_div(columns, panel);
  if (g.trans_b) return ceil_div(panels, panels_per_piece(slab));
  return ceil_div(slab.length, rows_per_piece(columns));
}

/** Packs one piece of `columns` columns from first_column on. */
void pack_b(const Gemm& g, const float* b, int64_t first_column, int64_t columns, Range slab, int64_t piece, float* packed) {
  const int64_t panels = ceil_div(columns, panel), step = panel_step(g);
  if (g.trans_b) {
    const float* from = b + first_column * g.ldb + slab.first;
    const int64_t first = piece * panels_per_piece(slab);
    for (int64_t j = first; j < min64(panels, first + panels_per_piece(slab)); ++j) {
      pack_panel_transposed(from, g.ldb, columns, slab.length, j, packed + j * step);
    }
    return;
  }
  const int64_t first = piece * rows_per_piece(columns), last = min64(slab.length, first + rows_per_piece(columns));
  for (int64_t row = first; row < last; row += rows_at_once) {
    const float* from = b + (slab.first + row) * g.ldb + first_column;
    for (int64_t j = 0; j < panels; ++j) {
      pack_panel(from, g.ldb, columns, min64(rows_at_once, last - row), j, packed + j * step + row * panel);
    }
  }
}

/** Rows m0..m1 of C times `columns` columns from packed panels; c points at the first of those columns. */
void multiply_block(const Gemm& g, const float* a, int64_t m0, int64_t m1, Range slab, const float* packed,
                    int64_t columns, float* c, float* a_packed) {
  const int64_t rows = m1 - m0, count = passes(g) / slabs(g);
  for (int64_t i = 0; i < count; ++i) {
    const Range pass = part_of(slab, i, count);
    const int64_t k = pass.length;
    const float beta = pass.first == 0 ? g.beta : 1.0f;
    const float* b = packed + (pass.first - slab.first) * panel;
    if (!g.trans_a) {
      pack_rows(a + m0 * g.lda + pass.first, g.lda, rows, k, a_packed);
      multiply_packed<ALayout::rows>(rows, columns, k, a_packed, 0, b, panel_step(g), c + m0 * g.ldc, g.ldc, beta);
    } else {
      pack_tiles(a + pass.first * g.lda + m0, g.lda, rows, k, a_packed);
      multiply_packed<ALayout::tiles>(rows, columns, k, a_packed, k * tile_step, b, panel_step(g), c + m0 * g.ldc,
                                      g.ldc, beta);
    }
  }
}

/** The share of one slab in `columns` columns of C from `first` on. */
void multiply_slab(const Gemm& g, const float* a, const float* b, float* c, int64_t first, int64_t columns, Range slab,
                   float* scratch) {
  const int64_t workers = worker_count(), panels = ceil_div(columns, panel);
  float* packed = scratch + workers * a_scratch;
  parallel_for(pack_pieces(g, columns, slab),
               [&](int64_t piece, int) { pack_b(g, b, first, columns, slab, piece, packed); });
  const int64_t tiles_high = ceil_div(g.m, tile_rows);
  const int64_t blocks = min64(tiles_high, round_up(row_blocks(g), workers));
  const int64_t spans = min64(panels, ceil_div(workers, blocks));
  parallel_for(blocks * spans, [&](int64_t task, int worker) {
    const int64_t block = task / spans, span = task % spans;
    const int64_t m0 = block * g.m / blocks, m1 = (block + 1) * g.m / blocks;
    const int64_t p0 = span * panels / spans, p1 = (span + 1) * panels / spans;
    multiply_block(g, a, m0, m1, slab, packed + p0 * panel_step(g), min64(columns, p1 * panel) - p0 * panel,
                   c + first + p0 * panel, scratch + worker * a_scratch);
  });
}

void multiply_one(const Gemm& g, const float* a, const float* b, float* c, float* scratch) {
  for (int64_t first = 0; first < g.n; first += n_block) {
    const int64_t columns = min64(n_block, g.n - first);
    for (int64_t i = 0; i < slabs(g); ++i) {
      multiply_slab(g, a, b, c, first, columns, part_of({0, g.k}, i, slabs(g)), scratch);
    }
  }
}

/** One product on one thread; scratch: packed A, then packed B. */
void multiply_alone(const Gemm& g, const float* a, const float* b, float* c, float* scratch) {
  float* packed = scratch + a_scratch;
  const int64_t blocks = row_blocks(g);
  for (int64_t i = 0; i < slabs(g); ++i) {
    const Range slab = part_of({0, g.k}, i, slabs(g));
    for (int64_t piece = 0; piece < pack_pieces(g, g.n, slab); ++piece) pack_b(g, b, 0, g.n, slab, piece, packed);
    for (int64_t block = 0; block < blocks; ++block) {
      multiply_block(g, a, block * g.m / blocks, (block + 1) * g.m / blocks, slab, packed, g.n, c, scratch);
    }
  }
}

/** C = beta·C, for products over an empty k. */
void scale_c(const Gemm& g, float* c) {
  for (int64_t row = 0; row < g.m; ++row) {
    for (int64_t i = 0; i < g.n; ++i) c[row * g.ldc + i] = g.beta == 0.0f ? 0.0f : g.beta * c[row * g.ldc + i];
  }
}

}  // namespace

int64_t gemm_scratch(const Gemm& g) {
  const int64_t workers = worker_count();
  int64_t floats = workers * a_scratch;
  if (is_thin(g)) floats = g.m * g.k;
  else if (splits_batch(g)) floats += workers * packed_b(g);
  else floats += packed_b(g);
  return floats * static_cast<int64_t>(sizeof(float));
}

void gemm(const Gemm& g, float* scratch) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k > 0 && !is_thin(g) && splits_batch(g)) {
    const int64_t share = a_scratch + packed_b(g);
    parallel_for(g.batch, [&](int64_t i, int worker) {
      multiply_alone(g, g.a + i * g.stride_a, g.b + i * g.stride_b, g.c + i * g.stride_c, scratch + worker * share);
    });
    return;
  }
  for (int64_t i = 0; i < g.batch; ++i) {
    const float *a = g.a + i * g.stride_a, *b = g.b + i * g.stride_b;
    float* c = g.c + i * g.stride_c;
    if (g.k == 0) scale_c(g, c);
    else if (is_thin(g)) multiply_thin(g, a, b, c, scratch);
    else multiply_one(g, a, b, c, scratch);
  }
}

}  // namespace forge::FORGE_ISA
