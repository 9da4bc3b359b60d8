#include "cuda/attention.h"
#include "cuda/table.h"
#include "cuda/tensor_core.h"

/**
 * With P = exp(scale·q kᵀ − lse):  dv = Pᵀ do;  dP = do vᵀ;  dS = P∘(dP − Σ do∘o)·scale;  dq = dS k;  dk = dSᵀ q
 * (Dao et al. 2022, algorithm 4). One kernel owns queries and makes dq, one owns keys and makes dk and dv, so that
 * every sum has one writer and a fixed order.
 */
namespace forge::cuda {
namespace {

/**
 * delta[b, h, t] = Σ do∘o; a warp per query of a head. With `Rounded`, of the d_o that products see: in dP − delta, what all
 * values have in common has to cancel.
 */
template <bool Rounded>
__global__ void row_products(AttentionShape s, const float* d_o, const float* o, float* delta) {
  const int64_t warps = blockDim.x / warp_size;
  const int64_t i = blockIdx.x * warps + threadIdx.x / warp_size;
  if (i >= s.batch * s.q_heads * s.queries) return;  // the whole warp
  const int64_t t = i % s.queries, head = i / s.queries % s.q_heads, batch = i / s.queries / s.q_heads;
  const int64_t at = ((batch * s.queries + t) * s.q_heads + head) * s.dim;
  float sum = 0.0f;
  for (int64_t d = threadIdx.x % warp_size; d < s.dim; d += warp_size) {
    sum += (Rounded ? as_bf16(d_o[at + d]) : d_o[at + d]) * o[at + d];
  }
  sum = warp_sum(sum);
  if (threadIdx.x % warp_size == 0) delta[i] = sum;
}

/** Floats of shared memory: queries, d_o; keys, values; dS. */
constexpr int query_floats(int chunks) { return tile * (2 * row_stride(chunks) + 2 * lane_stride(chunks) + tile); }

template <int Chunks>
__global__ void query_gradient(AttentionShape s, AttentionGradients p) {
  FORGE_DYNAMIC_SHARED(float, shared);
  float* const queries = shared;
  float* const d_outs = queries + tile * row_stride(Chunks);
  float* const keys = d_outs + tile * row_stride(Chunks);
  float* const values = keys + tile * lane_stride(Chunks);
  float* const slopes = values + tile * lane_stride(Chunks);
  const auto [head_index, first, ldq, ldk, q_at, k_at, begin, end, lane, row0] = query_tile(s);
  load_rows(p.q + q_at, ldq, first, s.queries, s.dim, s.scale, queries, row_stride(Chunks));
  load_rows(p.d_o + q_at, ldq, first, s.queries, s.dim, 1.0f, d_outs, row_stride(Chunks));

  float sums[rows_per_warp][Chunks] = {};
  for (int64_t k0 = begin; k0 < end; k0 += tile) {
    __syncthreads();
    load_rows(p.k + k_at, ldk, k0, s.keys, s.dim, 1.0f, keys, lane_stride(Chunks));
    load_rows(p.v + k_at, ldk, k0, s.keys, s.dim, 1.0f, values, lane_stride(Chunks));
    __syncthreads();
    float scores[rows_per_warp], d_weights[rows_per_warp];
    dot_rows<Chunks>(queries + row0 * row_stride(Chunks), keys, scores);
    dot_rows<Chunks>(d_outs + row0 * row_stride(Chunks), values, d_weights);
    for (int r = 0; r < rows_per_warp; ++r) {
      const int64_t t = first + row0 + r, row = head_index * s.queries + t;
      const bool visible = t < s.queries && is_visible(s, t, k0 + lane);
      const float weight = visible ? expf(scores[r] - p.lse[row]) : 0.0f;
      slopes[(row0 + r) * tile + lane] = visible ? weight * (d_weights[r] - p.delta[row]) * s.scale : 0.0f;
    }
    __syncwarp();
    add_weighted<Chunks>(slopes + row0 * tile, keys, lane_stride(Chunks), sums);
    __syncwarp();
  }
  for (int r = 0; r < rows_per_warp; ++r) {
    const int64_t t = first + row0 + r;
    for (int c = 0; c < Chunks; ++c) {
      const int64_t d = lane + warp_size * c;
      if (t < s.queries && d < s.dim) p.dq[q_at + t * ldq + d] = sums[r][c];
    }
  }
}

/** Floats of shared memory: keys, values; queries, d_o; P and dS. */
constexpr int key_floats(int chunks) { return tile * (2 * row_stride(chunks) + 2 * lane_stride(chunks) + 2 * tile); }

/** Rows are keys here, columns queries. */
template <int Chunks>
__global__ void key_gradient(AttentionShape s, AttentionGradients p) {
  FORGE_DYNAMIC_SHARED(float, shared);
  float* const keys = shared;
  float* const values = keys + tile * row_stride(Chunks);
  float* const queries = values + tile * row_stride(Chunks);
  float* const d_outs = queries + tile * lane_stride(Chunks);
  float* const weights = d_outs + tile * lane_stride(Chunks);
  float* const slopes = weights + tile * tile;
  const auto [batch, first_head, end_head, first, ldq, ldk, k_at, begin, end, lane, row0] = key_tile(s);
  load_rows(p.k + k_at, ldk, first, s.keys, s.dim, 1.0f, keys, row_stride(Chunks));
  load_rows(p.v + k_at, ldk, first, s.keys, s.dim, 1.0f, values, row_stride(Chunks));

  float k_sums[rows_per_warp][Chunks] = {}, v_sums[rows_per_warp][Chunks] = {};
  for (int64_t head = first_head; head < end_head; ++head) {
    const int64_t q_at = (batch * s.queries * s.q_heads + head) * s.dim;
    const int64_t rows_at = (batch * s.q_heads + head) * s.queries;
    for (int64_t t0 = begin; t0 < end; t0 += tile) {
      __syncthreads();
      load_rows(p.q + q_at, ldq, t0, s.queries, s.dim, 1.0f, queries, lane_stride(Chunks));
      load_rows(p.d_o + q_at, ldq, t0, s.queries, s.dim, 1.0f, d_outs, lane_stride(Chunks));
      __syncthreads();
      float scores[rows_per_warp], d_weights[rows_per_warp];
      dot_rows<Chunks>(keys + row0 * row_stride(Chunks), queries, scores);
      dot_rows<Chunks>(values + row0 * row_stride(Chunks), d_outs, d_weights);
      const int64_t t = t0 + lane;
      const float lse = t < s.queries ? p.lse[rows_at + t] : 0.0f, delta = t < s.queries ? p.delta[rows_at + t] : 0.0f;
      for (int r = 0; r < rows_per_warp; ++r) {
        const bool visible = t < s.queries && is_visible(s, t, first + row0 + r);
        const float weight = visible ? expf(s.scale * scores[r] - lse) : 0.0f;
        weights[(row0 + r) * tile + lane] = weight;
        slopes[(row0 + r) * tile + lane] = visible ? weight * (d_weights[r] - delta) * s.scale : 0.0f;
      }
      __syncwarp();
      add_weighted<Chunks>(weights + row0 * tile, d_outs, lane_stride(Chunks), v_sums);
      add_weighted<Chunks>(slopes + row0 * tile, queries, lane_stride(Chunks), k_sums);
      __syncwarp();
    }
  }
  for (int r = 0; r < rows_per_warp; ++r) {
    const int64_t key = first + row0 + r;
    for (int c = 0; c < Chunks; ++c) {
      const int64_t d = lane + warp_size * c;
      if (key >= s.keys || d >= s.dim) continue;
      p.dk[k_at + key * ldk + d] = k_sums[r][c];
      p.dv[k_at + key * ldk + d] = v_sums[r][c];
    }
  }
}

}  // namespace

int64_t attention_backward_scratch(const AttentionShape& s) {
  return s.batch * s.q_heads * s.queries * static_cast<int64_t>(sizeof(float));
}

void attention_backward(const AttentionShape& s, const float* d_o, const float* q, const float* k, const float* v,
                        const float* o, const float* lse, float* dq, float* dk, float* dv, float* scratch) {
  const AttentionGradients p{d_o, q, k, v, lse, scratch, dq, dk, dv};
  const int64_t rows = s.batch * s.q_heads * s.queries;
  const auto delta = uses_tensor_cores(s) ? row_products<true> : row_products<false>;
  launch("attention_backward", delta, ceil_div(rows, attention_warps), attention_threads, 0, s, d_o, o, scratch);
  if (uses_tensor_cores(s)) return attention_gradients_bf16(s, p);
  with_chunks(s.dim, [&]<int Chunks>() {
    constexpr auto bytes = static_cast<int64_t>(sizeof(float));
    launch("attention_backward", query_gradient<Chunks>, s.batch * s.q_heads * ceil_div(s.queries, tile),
           attention_threads, query_floats(Chunks) * bytes, s, p);
    launch("attention_backward", key_gradient<Chunks>, s.batch * s.kv_heads * ceil_div(s.keys, tile), attention_threads,
           key_floats(Chunks) * bytes, s, p);
  });
}

}  // namespace forge::cuda
