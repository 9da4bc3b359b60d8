#include "cuda/block.h"
#include "cuda/table.h"

/**
 * Attention in which every query lists the ranges of keys that it sees. A warp owns one row of a result (a query's o or
 * dq, a key's dk and dv) and sums it in the order of keys, or of heads and queries: one writer, a fixed order.
 */
namespace forge::cuda {
namespace {

struct Ranges {
  /** [queries, count, 2]: [begin, end), ascending. */
  const int32_t* bounds;
  int64_t count;
};

/** Where a query of a head, and a key, begin. */
__device__ inline int64_t query_at(const AttentionShape& s, int64_t batch, int64_t t, int64_t head) {
  return ((batch * s.queries + t) * s.q_heads + head) * s.dim;
}
__device__ inline int64_t key_at(const AttentionShape& s, int64_t batch, int64_t key, int64_t head) {
  return ((batch * s.keys + key) * s.kv_heads + head) * s.dim;
}

/** What the warp of a query works on: block i is batch, head, query, in that order. */
struct QueryRow {
  int64_t t, at, batch, kv_head;
};
__device__ inline QueryRow query_row(const AttentionShape& s) {
  const int64_t t = blockIdx.x % s.queries, head = blockIdx.x / s.queries % s.q_heads;
  const int64_t batch = blockIdx.x / s.queries / s.q_heads;
  return {t, query_at(s, batch, t, head), batch, head / (s.q_heads / s.kv_heads)};
}

/** to[0..dim) = from[0..dim), by the warp. */
__device__ inline void copy_row(const float* from, float* to, int64_t dim) {
  for (int64_t d = threadIdx.x; d < dim; d += warp_size) to[d] = from[d];
}

/** Shared: the query, the sums, one weight per lane. */
__global__ void attend_ranges(AttentionShape s, Ranges ranges, const float* q, const float* k, const float* v, float* o,
                              float* lse) {
  FORGE_DYNAMIC_SHARED(float, shared);
  float *const query = shared, *const sums = query + s.dim, *const weights = sums + s.dim;
  const int lane = static_cast<int>(threadIdx.x);
  const QueryRow row = query_row(s);
  copy_row(q + row.at, query, s.dim);
  for (int64_t d = lane; d < s.dim; d += warp_size) sums[d] = 0.0f;
  __syncwarp();
  float top = -INFINITY, total = 0.0f;
  for (int64_t r = 0; r < ranges.count; ++r) {
    const int32_t* range = ranges.bounds + (row.t * ranges.count + r) * 2;
    const int64_t end = range[1];
    for (int64_t k0 = range[0]; k0 < end; k0 += warp_size) {
      const bool visible = k0 + lane < end;
      float score = 0.0f;
      if (visible) {
        const float* key = k + key_at(s, row.batch, k0 + lane, row.kv_head);
        for (int64_t d = 0; d < s.dim; ++d) score += query[d] * key[d];
        score *= s.scale;
      }
      const float best = fmaxf(top, warp_max(visible ? score : -INFINITY));
      const float shrink = top == best ? 1.0f : expf(top - best), weight = visible ? expf(score - best) : 0.0f;
      total = total * shrink + warp_sum(weight);
      top = best;
      weights[lane] = weight;
      __syncwarp();
      const int64_t seen = min64(warp_size, end - k0);
      for (int64_t d = lane; d < s.dim; d += warp_size) {
        float sum = sums[d] * shrink;
        for (int64_t j = 0; j < seen; ++j) sum += weights[j] * v[key_at(s, row.batch, k0 + j, row.kv_head) + d];
        sums[d] = sum;
      }
      __syncwarp();
    }
  }
  const float factor = total == 0.0f ? 0.0f : 1.0f / total;
  for (int64_t d = lane; d < s.dim; d += warp_size) o[row.at + d] = sums[d] * factor;
  if (lane == 0) lse[blockIdx.x] = total == 0.0f ? -INFINITY : top + logf(total);
}

struct Pointers {
  const float *d_o, *q, *k, *v, *o, *lse;
  float *dq, *dk, *dv;
};

// With p = exp(scale·q·k − lse):  dS = p·Σ do∘(v − o)·scale;  dq = Σ dS k;  dk = Σ dS q;  dv = Σ p do.

/** Shared: the query, its d_o and o, the sums, one slope per lane. */
__global__ void range_query_gradient(AttentionShape s, Ranges ranges, Pointers p) {
  FORGE_DYNAMIC_SHARED(float, shared);
  float *const query = shared, *const d_out = query + s.dim, *const out = d_out + s.dim, *const sums = out + s.dim;
  float* const slopes = sums + s.dim;
  const int lane = static_cast<int>(threadIdx.x);
  const QueryRow row = query_row(s);
  copy_row(p.q + row.at, query, s.dim);
  copy_row(p.d_o + row.at, d_out, s.dim);
  copy_row(p.o + row.at, out, s.dim);
  for (int64_t d = lane; d < s.dim; d += warp_size) sums[d] = 0.0f;
  __syncwarp();
  const float log_sum = p.lse[blockIdx.x];
  for (int64_t r = 0; r < ranges.count; ++r) {
    const int32_t* range = ranges.bounds + (row.t * ranges.count + r) * 2;
    const int64_t end = range[1];
    for (int64_t k0 = range[0]; k0 < end; k0 += warp_size) {
      float score = 0.0f, d_weight = 0.0f;
      if (k0 + lane < end) {
        const int64_t at = key_at(s, row.batch, k0 + lane, row.kv_head);
        for (int64_t d = 0; d < s.dim; ++d) {
          score += query[d] * p.k[at + d];
          d_weight += d_out[d] * (p.v[at + d] - out[d]);
        }
        slopes[lane] = expf(s.scale * score - log_sum) * d_weight * s.scale;
      }
      __syncwarp();
      const int64_t seen = min64(warp_size, end - k0);
      for (int64_t d = lane; d < s.dim; d += warp_size) {
        float sum = sums[d];
        for (int64_t j = 0; j < seen; ++j) sum += slopes[j] * p.k[key_at(s, row.batch, k0 + j, row.kv_head) + d];
        sums[d] = sum;
      }
      __syncwarp();
    }
  }
  for (int64_t d = lane; d < s.dim; d += warp_size) p.dq[row.at + d] = sums[d];
}

__device__ inline bool sees(const Ranges& ranges, int64_t t, int64_t key) {
  for (int64_t r = 0; r < ranges.count; ++r) {
    const int32_t* range = ranges.bounds + (t * ranges.count + r) * 2;
    if (key < range[0]) return false;
    if (key < range[1]) return true;
  }
  return false;
}

/** Shared: the key, its value, both sums; whether each of 32 queries sees the key. */
__global__ void range_key_gradient(AttentionShape s, Ranges ranges, Pointers p) {
  FORGE_DYNAMIC_SHARED(float, shared);
  float *const key_row = shared, *const value = key_row + s.dim, *const k_sums = value + s.dim, *const v_sums = k_sums + s.dim;
  float* const seen = v_sums + s.dim;
  const int lane = static_cast<int>(threadIdx.x);
  const int64_t key = blockIdx.x % s.keys, kv_head = blockIdx.x / s.keys % s.kv_heads;
  const int64_t batch = blockIdx.x / s.keys / s.kv_heads, group = s.q_heads / s.kv_heads;
  const int64_t to = key_at(s, batch, key, kv_head);
  copy_row(p.k + to, key_row, s.dim);
  copy_row(p.v + to, value, s.dim);
  for (int64_t d = lane; d < s.dim; d += warp_size) k_sums[d] = v_sums[d] = 0.0f;
  __syncwarp();
  for (int64_t t0 = 0; t0 < s.queries; t0 += warp_size) {
    seen[lane] = t0 + lane < s.queries && sees(ranges, t0 + lane, key) ? 1.0f : 0.0f;
    __syncwarp();
    for (int64_t t = t0; t < min64(s.queries, t0 + warp_size); ++t) {
      if (seen[t - t0] == 0.0f) continue;
      for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        const int64_t at = query_at(s, batch, t, head);
        float score = 0.0f, d_weight = 0.0f;
        for (int64_t d = lane; d < s.dim; d += warp_size) {
          score += p.q[at + d] * key_row[d];
          d_weight += p.d_o[at + d] * (value[d] - p.o[at + d]);
        }
        score = warp_sum(score);
        d_weight = warp_sum(d_weight);
        const float weight = expf(s.scale * score - p.lse[(batch * s.q_heads + head) * s.queries + t]);
        const float slope = weight * d_weight * s.scale;
        for (int64_t d = lane; d < s.dim; d += warp_size) {
          k_sums[d] += slope * p.q[at + d];
          v_sums[d] += weight * p.d_o[at + d];
        }
      }
    }
    __syncwarp();
  }
  for (int64_t d = lane; d < s.dim; d += warp_size) {
    p.dk[to + d] = k_sums[d];
    p.dv[to + d] = v_sums[d];
  }
}

/** Bytes of shared memory: rows of `dim` floats and a float per lane. */
int64_t shared_bytes(const AttentionShape& s, int64_t rows) {
  return (rows * s.dim + warp_size) * static_cast<int64_t>(sizeof(float));
}

}  // namespace

int64_t ranged_attention_scratch(const AttentionShape&) { return 0; }

void ranged_attention(const AttentionShape& s, const int32_t* ranges, int64_t count, const float* q, const float* k,
                      const float* v, float* o, float* lse, float*) {
  launch("ranged_attention", attend_ranges, s.batch * s.q_heads * s.queries, warp_size, shared_bytes(s, 2), s,
         Ranges{ranges, count}, q, k, v, o, lse);
}

void ranged_attention_backward(const AttentionShape& s, const int32_t* ranges, int64_t count, const float* d_o,
                               const float* q, const float* k, const float* v, const float* o, const float* lse,
                               float* dq, float* dk, float* dv) {
  const Pointers p{d_o, q, k, v, o, lse, dq, dk, dv};
  launch("ranged_attention_backward", range_query_gradient, s.batch * s.q_heads * s.queries, warp_size, shared_bytes(s, 4),
         s, Ranges{ranges, count}, p);
  launch("ranged_attention_backward", range_key_gradient, s.batch * s.kv_heads * s.keys, warp_size, shared_bytes(s, 4), s,
         Ranges{ranges, count}, p);
}

}  // namespace forge::cuda
