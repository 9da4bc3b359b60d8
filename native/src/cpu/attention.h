#pragma once
/** Geometry shared by attention forward and backward. */
#include "core/kernels.h"
#include "cpu/gemm_tile.h"
#include "cpu/rows.h"

namespace forge::FORGE_ISA {

static inline int64_t round_up_to(int64_t n, int64_t multiple) { return ceil_div(n, multiple) * multiple; }

/** Floats of kᵀ or vᵀ of one head as panels over the keys: [keys/panel][dim][panel]. */
static inline int64_t transposed_size(const AttentionShape& s) {
  return round_up_to(s.keys, panel) * round_up_to(s.dim, lanes);
}
static inline int64_t transposed_step(const AttentionShape& s) { return panel * round_up_to(s.dim, lanes); }
/** Floats of k or v of one head as panels over the components: [dim/panel][keys][panel]. */
static inline int64_t straight_size(const AttentionShape& s) { return round_up_to(s.dim, panel) * s.keys; }
static inline int64_t straight_step(const AttentionShape& s) { return panel * s.keys; }

/** x: rows of one head, ldx apart. */
static inline void pack_transposed(const AttentionShape& s, const float* x, int64_t ldx, float* dst) {
  for (int64_t j = 0; j < ceil_div(s.keys, panel); ++j) {
    pack_panel_transposed(x, ldx, s.keys, s.dim, j, dst + j * transposed_step(s));
  }
}
static inline void pack_straight(const float* x, int64_t ldx, int64_t rows, int64_t dim, float* dst) {
  for (int64_t j = 0; j < ceil_div(dim, panel); ++j) pack_panel(x, ldx, dim, rows, j, dst + j * panel * rows);
}

/** A half-open range of keys. */
struct KeyRange {
  int64_t begin, end;
};

/** Keys that query t sees. */
static inline KeyRange visible_keys(const AttentionShape& s, int64_t t) {
  const int64_t position = s.keys - s.queries + t;
  const int64_t end = s.causal ? max64(0, min64(s.keys, position + 1)) : s.keys;
  return {s.window > 0 ? max64(0, position + 1 - s.window) : 0, end};
}

/** Keys that any of queries first ≤ t < last sees; begin on a panel boundary. */
static inline KeyRange block_keys(const AttentionShape& s, int64_t first, int64_t last) {
  return {visible_keys(s, first).begin / panel * panel, visible_keys(s, last - 1).end};
}

/** Part of a row of keys from k0 on (n long) that query t sees, relative to k0. */
static inline KeyRange visible_in(const AttentionShape& s, int64_t t, int64_t k0, int64_t n) {
  const KeyRange keys = visible_keys(s, t);
  const int64_t begin = min64(n, max64(0, keys.begin - k0));
  return {begin, max64(begin, min64(n, keys.end - k0))};
}

static inline void fill_zero(float* x, int64_t n) {
  if (n > 0) memset(x, 0, static_cast<size_t>(n) * sizeof(float));
}

}  // namespace forge::FORGE_ISA
