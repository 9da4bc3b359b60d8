#pragma once
/**
 * Packed ternary weights W[N, K]: two bits a code (0, 1, 2 for −1, 0, 1), in the order that integer dot products read them.
 *
 * 16 rows make a panel, 16 columns of a panel make a chunk of 64 bytes; panels and chunks follow each other, padded
 * with zeros of W. Byte 4r + j of chunk c of panel p holds four codes of row 16p + r: bits 2i..2i+1 are column
 * 16c + 4i + j. So a chunk masked with 3 << 2i is a vector of 16 rows × 4 consecutive columns, what one instruction
 * (vpdpbusd) multiplies with four activations and adds into 16 int32, one per row: no shift, no sum across lanes,
 * and 16 results leave as one vector. The codes are shifted by 2i bits; the sums are shifted back, exactly, at the end.
 * Since codes are one too large, Σ code·x − Σ x is the product.
 */
#include "core/kernels.h"
#include "cpu/simd.h"

namespace forge::FORGE_ISA {

static inline int64_t ternary_panels(int64_t rows) { return ceil_div(rows, ternary_panel); }
static inline int64_t ternary_chunks(int64_t columns) { return ceil_div(columns, ternary_chunk); }

static inline vi load_i(const int32_t* p) {
  vi v;
  memcpy(&v, p, sizeof v);
  return v;
}

/** Sums of one panel for rows `row` … of x, as they leave: minus Σ x, exact or scaled. `sums` has 16 per row. */
static inline void ternary_store(const TernaryMatmul& p, const int32_t* sums, int64_t row, int64_t rows, int64_t panel) {
  const int64_t first = panel * ternary_panel, count = min64(ternary_panel, p.n - first);
  for (int64_t i = 0; i < count; i += lanes) {
    const int64_t here = min64(lanes, count - i);
    vf steps = {};
    if (p.y != nullptr) steps = p.has_step_per_column ? load_n(p.w_steps + first + i, here) : splat(p.w_steps[0]);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t at = (row + r) * p.n + first + i;
      const vi exact = load_i(sums + r * ternary_panel + i) - splat_i(p.sums[row + r]);
      if (p.y != nullptr) {
        store_n(p.y + at, __builtin_convertvector(exact, vf) * (splat(p.x_steps[row + r]) * steps), here);
      } else {
        memcpy(p.accumulators + at, &exact, static_cast<size_t>(here) * sizeof(int32_t));
      }
    }
  }
}

/** f(panel, first row, rows) for the whole product, in parallel: 64 KiB of weights and 48 rows of x at a time. */
template <class F>
static inline void ternary_tiles(const TernaryMatmul& p, const F& f) {
  constexpr int64_t rows_at_once = 48, bytes_at_once = 1 << 16;
  const int64_t panels = ternary_panels(p.n), row_blocks = ceil_div(p.m, rows_at_once);
  const int64_t panel_bytes = max64(1, ternary_chunks(p.k) * ternary_chunk_bytes);
  const int64_t group = max64(1, bytes_at_once / panel_bytes), groups = ceil_div(panels, group);
  parallel_for(groups * row_blocks, [&](int64_t i, int) {
    const int64_t first_row = i % row_blocks * rows_at_once, rows = min64(rows_at_once, p.m - first_row);
    const int64_t end = min64(panels, (i / row_blocks + 1) * group);
    for (int64_t panel = i / row_blocks * group; panel < end; ++panel) f(panel, first_row, rows);
  });
}

}  // namespace forge::FORGE_ISA
