#include "cpu/attention.h"

/**
 * Attention with an online softmax (Milakov & Gimelshein 2018; Dao et al. 2022): a task takes one head and
 * a block of queries, walks the keys it may see in blocks, and never stores the T × S matrix. Products are
 * the register tiles of the dense kernels. Few queries (decoding) read k and v in place instead.
 */
namespace forge::FORGE_ISA {
namespace {

constexpr int64_t query_block = 2 * tile_rows;
constexpr int64_t direct_queries = 4;  // packing k and v costs about as much as four queries

float scalar_exp(float x) { return vexp(splat(x))[0]; }
float scalar_log(float x) { return vlog(splat(x))[0]; }

/** x[i] = exp(x[i] − shift) for i in range, 0 elsewhere in 0..n; returns the sum. */
float exp_in_place(float* x, KeyRange range, int64_t n, float shift) {
  const vf s = splat(shift);
  vf total = {};
  int64_t i = range.begin;
  fill_zero(x, range.begin);
  for (; i + lanes <= range.end; i += lanes) {
    const vf e = vexp(load(x + i) - s);
    store(x + i, e);
    total += e;
  }
  if (i < range.end) {
    const int64_t rest = range.end - i;
    const vf e = vexp(load_n(x + i, rest) - s);
    store_n(x + i, e, rest);
    total += first_lanes(e, rest);
  }
  fill_zero(x + range.end, n - range.end);
  return sum_lanes(total);
}

/** y += p·x. */
void row_axpy(float* y, float p, const float* x, int64_t n) {
  const vf factor = splat(p);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(y + i, load(y + i) + factor * load(x + i));
  if (i < n) store_n(y + i, load_n(y + i, n - i) + factor * load_n(x + i, n - i), n - i);
}

struct Head {
  const AttentionShape& s;
  int64_t batch, head, kv_head;
  const float* query(const float* q, int64_t t) const {
    return q + ((batch * s.queries + t) * s.q_heads + head) * s.dim;
  }
  float* query(float* q, int64_t t) const { return q + ((batch * s.queries + t) * s.q_heads + head) * s.dim; }
  const float* key(const float* k, int64_t row) const {
    return k + ((batch * s.key_capacity + row) * s.kv_heads + kv_head) * s.dim;
  }
  int64_t lse(int64_t t) const { return (batch * s.q_heads + head) * s.queries + t; }
};

Head head_of(const AttentionShape& s, int64_t index) {
  const int64_t head = index % s.q_heads;
  return {s, index / s.q_heads, head, head / (s.q_heads / s.kv_heads)};
}

void attend_direct(const Head& h, int64_t t, const float* q, const float* k, const float* v, float* o, float* lse,
                   float* scores) {
  const AttentionShape& s = h.s;
  const KeyRange keys = visible_keys(s, t);
  const int64_t n = keys.end - keys.begin;
  float* out = h.query(o, t);
  fill_zero(out, s.dim);
  lse[h.lse(t)] = -__builtin_inff();
  if (n <= 0) return;
  for (int64_t i = 0; i < n; ++i) scores[i] = s.scale * row_dot(h.query(q, t), h.key(k, keys.begin + i), s.dim);
  const float top = row_max(scores, n);
  const float sum = exp_in_place(scores, {0, n}, n, top);
  for (int64_t i = 0; i < n; ++i) row_axpy(out, scores[i], h.key(v, keys.begin + i), s.dim);
  row_scale(out, 1.0f / sum, s.dim);
  lse[h.lse(t)] = top + scalar_log(sum);
}

/** Working memory of one worker: scaled queries and one block of scores, both in the rows layout. */
constexpr int64_t worker_floats = 2 * query_block * a_stride;

void attend_block(const Head& h, int64_t first, int64_t last, const float* q, const float* k_transposed,
                  const float* v_straight, float* o, float* lse, float* work) {
  const AttentionShape& s = h.s;
  const int64_t rows = last - first, ldo = s.q_heads * s.dim;
  float *queries = work, *scores = work + query_block * a_stride;
  float top[query_block], sum[query_block];
  pack_rows(h.query(q, first), ldo, rows, s.dim, queries);
  for (int64_t r = 0; r < rows; ++r) {
    row_scale(queries + r * a_stride, s.scale, s.dim);
    top[r] = -__builtin_inff();
    sum[r] = 0;
  }
  const KeyRange keys = block_keys(s, first, last);
  if (keys.begin >= keys.end) {
    for (int64_t r = 0; r < rows; ++r) fill_zero(h.query(o, first + r), s.dim);
  }
  for (int64_t k0 = keys.begin; k0 < keys.end; k0 += k_block) {
    const int64_t n = min64(k_block, keys.end - k0);
    multiply_packed<ALayout::rows>(rows, n, s.dim, queries, 0, k_transposed + k0 / panel * transposed_step(s),
                                   transposed_step(s), scores, a_stride, 0.0f);
    for (int64_t r = 0; r < rows; ++r) {
      float* x = scores + r * a_stride;
      const KeyRange seen = visible_in(s, first + r, k0, n);
      if (seen.begin == seen.end) {
        fill_zero(x, n);
        continue;
      }
      const float best = row_max(x + seen.begin, seen.end - seen.begin);
      const float shift = best > top[r] || best != best ? best : top[r];
      const float shrink = top[r] == shift ? 1.0f : scalar_exp(top[r] - shift);
      sum[r] = sum[r] * shrink + exp_in_place(x, seen, n, shift);
      if (k0 > keys.begin && shrink != 1.0f) row_scale(h.query(o, first + r), shrink, s.dim);
      top[r] = shift;
    }
    multiply_packed<ALayout::rows>(rows, s.dim, n, scores, 0, v_straight + k0 * panel, straight_step(s),
                                   h.query(o, first), ldo, k0 == keys.begin ? 0.0f : 1.0f);
  }
  for (int64_t r = 0; r < rows; ++r) {
    row_scale(h.query(o, first + r), sum[r] == 0.0f ? 0.0f : 1.0f / sum[r], s.dim);
    lse[h.lse(first + r)] = sum[r] == 0.0f ? -__builtin_inff() : top[r] + scalar_log(sum[r]);
  }
}

bool is_direct(const AttentionShape& s) { return s.queries <= direct_queries; }

}  // namespace

int64_t attention_scratch(const AttentionShape& s) {
  const int64_t floats = is_direct(s) ? worker_count() * round_up_to(s.keys, lanes)
                                      : worker_count() * worker_floats +
                                            s.batch * s.kv_heads * (transposed_size(s) + straight_size(s));
  return floats * static_cast<int64_t>(sizeof(float));
}

void attention(const AttentionShape& s, const float* q, const float* k, const float* v, float* o, float* lse,
               float* scratch) {
  const int64_t heads = s.batch * s.q_heads;
  if (is_direct(s)) {
    parallel_for(heads, [&](int64_t index, int worker) {
      for (int64_t t = 0; t < s.queries; ++t) {
        attend_direct(head_of(s, index), t, q, k, v, o, lse, scratch + worker * round_up_to(s.keys, lanes));
      }
    });
    return;
  }
  const int64_t per_head = transposed_size(s) + straight_size(s), ldk = s.kv_heads * s.dim;
  float* packed = scratch + worker_count() * worker_floats;
  parallel_for(s.batch * s.kv_heads, [&](int64_t i, int) {
    const int64_t at = (i / s.kv_heads * s.key_capacity * s.kv_heads + i % s.kv_heads) * s.dim;
    pack_transposed(s, k + at, ldk, packed + i * per_head);
    pack_straight(v + at, ldk, s.keys, s.dim, packed + i * per_head + transposed_size(s));
  });
  const int64_t blocks = ceil_div(s.queries, query_block);
  parallel_for(heads * blocks, [&](int64_t task, int worker) {
    const Head h = head_of(s, task / blocks);
    const int64_t block = task % blocks;
    const float* mine = packed + (h.batch * s.kv_heads + h.kv_head) * per_head;
    attend_block(h, block * s.queries / blocks, (block + 1) * s.queries / blocks, q, mine, mine + transposed_size(s), o,
                 lse, scratch + worker * worker_floats);
  });
}

}  // namespace forge::FORGE_ISA
