#include "cpu/attention.h"

/**
 * With P = exp(scale·q kᵀ − lse):  dv = Pᵀ do;  dP = do vᵀ;  dS = P∘(dP − Σ do∘o)·scale;  dq = dS k;  dk = dSᵀ q
 * (Dao et al. 2022, algorithm 4). A task owns one key head, so that dk and dv are summed in a fixed order.
 */
namespace forge::FORGE_ISA {
namespace {

constexpr int64_t query_block = 4 * tile_rows;

/** Working memory of one worker, in floats. */
struct Layout {
  int64_t k_transposed, v_transposed, k_straight, queries, d_out, probabilities, d_scores, query_panels, d_out_panels,
      total;

  explicit Layout(const AttentionShape& s) {
    const int64_t rows = query_block * a_stride, panels = round_up_to(s.dim, panel) * query_block;
    k_transposed = 0;
    v_transposed = k_transposed + transposed_size(s);
    k_straight = v_transposed + transposed_size(s);
    queries = k_straight + straight_size(s);
    d_out = queries + rows;
    probabilities = d_out + rows;
    d_scores = probabilities + rows;
    query_panels = d_scores + rows;
    d_out_panels = query_panels + panels;
    total = d_out_panels + panels;
  }
};

/** p: scores -> P; dp: dP -> dS; both 0 outside the range. */
void softmax_gradient(float* p, float* dp, KeyRange seen, int64_t n, float scale, float lse, float delta) {
  fill_zero(p, seen.begin);
  fill_zero(dp, seen.begin);
  const vf vscale = splat(scale), vlse = splat(lse), vdelta = splat(delta);
  for (int64_t i = seen.begin; i < seen.end; i += lanes) {
    const int64_t rest = seen.end - i;
    const bool whole = rest >= lanes;
    const vf probability = vexp((whole ? load(p + i) : load_n(p + i, rest)) * vscale - vlse);
    const vf slope = probability * ((whole ? load(dp + i) : load_n(dp + i, rest)) - vdelta) * vscale;
    if (whole) {
      store(p + i, probability);
      store(dp + i, slope);
    } else {
      store_n(p + i, probability, rest);
      store_n(dp + i, slope, rest);
    }
  }
  fill_zero(p + seen.end, n - seen.end);
  fill_zero(dp + seen.end, n - seen.end);
}

struct Pointers {
  const float *d_o, *q, *k, *v, *o, *lse;
  float *dq, *dk, *dv;
};

/** One block of queries of one head: adds to dk, dv (at the key head's first row), writes dq. */
void block_gradient(const AttentionShape& s, const Pointers& p, int64_t batch, int64_t head, int64_t first,
                    int64_t last, int64_t key_at, float* work) {
  const Layout at(s);
  const int64_t rows = last - first, ldq = s.q_heads * s.dim, ldk = s.kv_heads * s.dim;
  const int64_t q_at = ((batch * s.queries + first) * s.q_heads + head) * s.dim;
  const float* lse = p.lse + (batch * s.q_heads + head) * s.queries + first;
  float *probabilities = work + at.probabilities, *d_scores = work + at.d_scores;
  float delta[query_block];
  for (int64_t r = 0; r < rows; ++r) delta[r] = row_dot(p.d_o + q_at + r * ldq, p.o + q_at + r * ldq, s.dim);
  pack_rows(p.q + q_at, ldq, rows, s.dim, work + at.queries);
  pack_rows(p.d_o + q_at, ldq, rows, s.dim, work + at.d_out);
  pack_straight(p.q + q_at, ldq, rows, s.dim, work + at.query_panels);
  pack_straight(p.d_o + q_at, ldq, rows, s.dim, work + at.d_out_panels);
  const KeyRange keys = block_keys(s, first, last);
  if (keys.begin >= keys.end) {
    for (int64_t r = 0; r < rows; ++r) fill_zero(p.dq + q_at + r * ldq, s.dim);
  }
  for (int64_t k0 = keys.begin; k0 < keys.end; k0 += k_block) {
    const int64_t n = min64(k_block, keys.end - k0), step = transposed_step(s);
    multiply_packed<ALayout::rows>(rows, n, s.dim, work + at.queries, 0, work + at.k_transposed + k0 / panel * step,
                                   step, probabilities, a_stride, 0.0f);
    multiply_packed<ALayout::rows>(rows, n, s.dim, work + at.d_out, 0, work + at.v_transposed + k0 / panel * step, step,
                                   d_scores, a_stride, 0.0f);
    for (int64_t r = 0; r < rows; ++r) {
      softmax_gradient(probabilities + r * a_stride, d_scores + r * a_stride, visible_in(s, first + r, k0, n), n,
                       s.scale, lse[r], delta[r]);
    }
    multiply_packed<ALayout::rows>(rows, s.dim, n, d_scores, 0, work + at.k_straight + k0 * panel, straight_step(s),
                                   p.dq + q_at, ldq, k0 == keys.begin ? 0.0f : 1.0f);
    multiply_packed<ALayout::columns>(n, s.dim, rows, probabilities, a_stride, work + at.d_out_panels, panel * rows,
                                      p.dv + key_at + k0 * ldk, ldk, 1.0f);
    multiply_packed<ALayout::columns>(n, s.dim, rows, d_scores, a_stride, work + at.query_panels, panel * rows,
                                      p.dk + key_at + k0 * ldk, ldk, 1.0f);
  }
}

}  // namespace

int64_t attention_backward_scratch(const AttentionShape& s) {
  return worker_count() * Layout(s).total * static_cast<int64_t>(sizeof(float));
}

void attention_backward(const AttentionShape& s, const float* d_o, const float* q, const float* k, const float* v,
                        const float* o, const float* lse, float* dq, float* dk, float* dv, float* scratch) {
  const Layout at(s);
  const Pointers p{d_o, q, k, v, o, lse, dq, dk, dv};
  const int64_t group = s.q_heads / s.kv_heads, ldk = s.kv_heads * s.dim;
  const int64_t blocks = ceil_div(s.queries, query_block);
  parallel_for(s.batch * s.kv_heads, [&](int64_t task, int worker) {
    const int64_t batch = task / s.kv_heads, kv_head = task % s.kv_heads;
    const int64_t key_at = (batch * s.key_capacity * s.kv_heads + kv_head) * s.dim;
    float* work = scratch + worker * at.total;
    pack_transposed(s, k + key_at, ldk, work + at.k_transposed);
    pack_transposed(s, v + key_at, ldk, work + at.v_transposed);
    pack_straight(k + key_at, ldk, s.keys, s.dim, work + at.k_straight);
    for (int64_t row = 0; row < s.keys; ++row) {
      fill_zero(dk + key_at + row * ldk, s.dim);
      fill_zero(dv + key_at + row * ldk, s.dim);
    }
    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (int64_t block = 0; block < blocks; ++block) {
        block_gradient(s, p, batch, head, block * s.queries / blocks, (block + 1) * s.queries / blocks, key_at, work);
      }
    }
  });
}

}  // namespace forge::FORGE_ISA
