#include "cuda/attention.h"
#include "cuda/table.h"

/**
 * Attention with an online softmax (Milakov & Gimelshein 2018; Dao et al. 2022): a block takes one head and 32 queries,
 * walks the keys they may see 32 at a time, and never stores the T × S matrix.
 */
namespace forge::cuda {
namespace {

/** Floats of shared memory: queries, keys, values, probabilities. */
constexpr int shared_floats(int chunks) { return tile * (2 * row_stride(chunks) + lane_stride(chunks) + tile); }

template <int Chunks>
__global__ void attend(AttentionShape s, const float* q, const float* k, const float* v, float* o, float* lse) {
  FORGE_DYNAMIC_SHARED(float, shared);
  float* const queries = shared;
  float* const keys = queries + tile * row_stride(Chunks);
  float* const values = keys + tile * lane_stride(Chunks);
  float* const weights = values + tile * row_stride(Chunks);
  const auto [head_index, first, ldq, ldk, q_at, k_at, begin, end, lane, row0] = query_tile(s);
  load_rows(q + q_at, ldq, first, s.queries, s.dim, s.scale, queries, row_stride(Chunks));

  float top[rows_per_warp], total[rows_per_warp], sums[rows_per_warp][Chunks] = {};
  for (int r = 0; r < rows_per_warp; ++r) {
    top[r] = -INFINITY;
    total[r] = 0.0f;
  }
  for (int64_t k0 = begin; k0 < end; k0 += tile) {
    __syncthreads();
    load_rows(k + k_at, ldk, k0, s.keys, s.dim, 1.0f, keys, lane_stride(Chunks));
    load_rows(v + k_at, ldk, k0, s.keys, s.dim, 1.0f, values, row_stride(Chunks));
    __syncthreads();
    float scores[rows_per_warp];
    dot_rows<Chunks>(queries + row0 * row_stride(Chunks), keys, scores);
#pragma unroll
    for (int r = 0; r < rows_per_warp; ++r) {
      const bool visible = is_visible(s, first + row0 + r, k0 + lane);
      const float best = fmaxf(top[r], warp_max(visible ? scores[r] : -INFINITY));
      const float shrink = top[r] == best ? 1.0f : expf(top[r] - best);
      const float weight = visible ? expf(scores[r] - best) : 0.0f;
      total[r] = total[r] * shrink + warp_sum(weight);
      for (int c = 0; c < Chunks; ++c) sums[r][c] *= shrink;
      top[r] = best;
      weights[(row0 + r) * tile + lane] = weight;
    }
    __syncwarp();
    add_weighted<Chunks>(weights + row0 * tile, values, row_stride(Chunks), sums);
    __syncwarp();
  }
  for (int r = 0; r < rows_per_warp; ++r) {
    const int64_t t = first + row0 + r;
    if (t >= s.queries) continue;
    const float factor = total[r] == 0.0f ? 0.0f : 1.0f / total[r];
    for (int c = 0; c < Chunks; ++c) {
      const int64_t d = lane + warp_size * c;
      if (d < s.dim) o[q_at + t * ldq + d] = sums[r][c] * factor;
    }
    if (lane == 0) lse[head_index * s.queries + t] = total[r] == 0.0f ? -INFINITY : top[r] + logf(total[r]);
  }
}

}  // namespace

int64_t attention_scratch(const AttentionShape&) { return 0; }

void attention(const AttentionShape& s, const float* q, const float* k, const float* v, float* o, float* lse, float*) {
  if (uses_tensor_cores(s)) return attention_bf16(s, q, k, v, o, lse);
  with_chunks(s.dim, [&]<int Chunks>() {
    launch("attention", attend<Chunks>, s.batch * s.q_heads * ceil_div(s.queries, tile), attention_threads,
           shared_floats(Chunks) * static_cast<int64_t>(sizeof(float)), s, q, k, v, o, lse);
  });
}

}  // namespace forge::cuda
