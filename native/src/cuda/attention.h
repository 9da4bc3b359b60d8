#pragma once
/** Geometry shared by attention forward and backward. */
#include "cuda/block.h"

namespace forge::cuda {

/** Queries and keys of a tile; a warp takes `rows_per_warp` rows of it, a lane one column. */
constexpr int tile = 32;
constexpr int attention_threads = 128;
constexpr int attention_warps = attention_threads / warp_size;
constexpr int rows_per_warp = tile / attention_warps;

/** Floats per row of a tile that is read by broadcast, for Chunks·32 components. */
constexpr int row_stride(int chunks) { return chunks * warp_size; }
/** … and of one whose rows are read by different lanes: four more, so that lanes use different banks. */
constexpr int lane_stride(int chunks) { return chunks * warp_size + 4; }

/** Position of query t among the keys. */
__device__ inline int64_t position_of(const AttentionShape& s, int64_t t) { return s.keys - s.queries + t; }

__device__ inline bool is_visible(const AttentionShape& s, int64_t t, int64_t key) {
  const int64_t position = position_of(s, t);
  return key < s.keys && (!s.causal || key <= position) && (s.window == 0 || key > position - s.window);
}

/** What a block computes whose rows are `Rows` queries, and what its thread has of it. */
struct QueryTile {
  /** batch · q_heads + head. */
  int64_t head_index;
  /** Query of the block's first row. */
  int64_t first;
  /** Floats from one query, and from one key, to the next. */
  int64_t ldq, ldk;
  /** Where query 0 and key 0 of the head begin. */
  int64_t q_at, k_at;
  /** Keys that any of the rows may see. */
  int64_t begin, end;
  int lane;
  /** First row of the thread's warp. */
  int row0;
};

template <int Rows = tile>
__device__ inline QueryTile query_tile(const AttentionShape& s) {
  const int64_t tiles = ceil_div(s.queries, Rows), head_index = blockIdx.x / tiles;
  const int64_t batch = head_index / s.q_heads, head = head_index % s.q_heads, kv_head = head / (s.q_heads / s.kv_heads);
  const int64_t first = blockIdx.x % tiles * Rows, last = min64(s.queries, first + Rows) - 1;
  const int thread = static_cast<int>(threadIdx.x);
  return {
      .head_index = head_index,
      .first = first,
      .ldq = s.q_heads * s.dim,
      .ldk = s.kv_heads * s.dim,
      .q_at = (batch * s.queries * s.q_heads + head) * s.dim,
      .k_at = (batch * s.key_capacity * s.kv_heads + kv_head) * s.dim,
      .begin = s.window > 0 ? max64(0, position_of(s, first) + 1 - s.window) : 0,
      .end = s.causal ? min64(s.keys, position_of(s, last) + 1) : s.keys,
      .lane = thread % warp_size,
      .row0 = thread / warp_size * (Rows / attention_warps),
  };
}

/** The same where rows are `Rows` keys and columns queries. */
struct KeyTile {
  int64_t batch;
  /** Heads that read these keys. */
  int64_t first_head, end_head;
  /** Key of the block's first row. */
  int64_t first;
  int64_t ldq, ldk;
  /** Where key 0 of the head begins. */
  int64_t k_at;
  /** Queries that see any of these keys: from the one at the first key's position, to where the window has passed the last. */
  int64_t begin, end;
  int lane;
  int row0;
};

template <int Rows = tile>
__device__ inline KeyTile key_tile(const AttentionShape& s) {
  const int64_t tiles = ceil_div(s.keys, Rows), head_index = blockIdx.x / tiles;
  const int64_t batch = head_index / s.kv_heads, kv_head = head_index % s.kv_heads, group = s.q_heads / s.kv_heads;
  const int64_t first = blockIdx.x % tiles * Rows, last = min64(s.keys, first + Rows) - 1;
  const int64_t offset = s.keys - s.queries;
  const int thread = static_cast<int>(threadIdx.x);
  return {
      .batch = batch,
      .first_head = kv_head * group,
      .end_head = (kv_head + 1) * group,
      .first = first,
      .ldq = s.q_heads * s.dim,
      .ldk = s.kv_heads * s.dim,
      .k_at = (batch * s.key_capacity * s.kv_heads + kv_head) * s.dim,
      .begin = s.causal ? max64(0, first - offset) : 0,
      .end = s.window > 0 ? min64(s.queries, last - offset + s.window) : s.queries,
      .lane = thread % warp_size,
      .row0 = thread / warp_size * (Rows / attention_warps),
  };
}

/** What the gradients of attention are made of, with delta = Σ do∘o of each query of a head, and where they go. */
struct AttentionGradients {
  const float *d_o, *q, *k, *v, *lse, *delta;
  float *dq, *dk, *dv;
};

/** Rows first … first+31 of one head, ldx floats apart, times `scale`; zeros beyond `rows` rows and `dim` components. */
__device__ inline void load_rows(const float* x, int64_t ldx, int64_t first, int64_t rows, int64_t dim, float scale,
                                 float* to, int stride) {
  for (int i = static_cast<int>(threadIdx.x); i < tile * stride; i += attention_threads) {
    const int row = i / stride, d = i % stride;
    to[i] = first + row < rows && d < dim ? x[(first + row) * ldx + d] * scale : 0.0f;
  }
}

/** products[r] = Σ_d rows[r][d] · columns[lane][d] for the warp's rows. */
template <int Chunks>
__device__ inline void dot_rows(const float* rows, const float* columns, float (&products)[rows_per_warp]) {
  const int lane = static_cast<int>(threadIdx.x) % warp_size;
  for (float& product : products) product = 0.0f;
  for (int d = 0; d < Chunks * warp_size; d += 4) {
    const float4 column = *reinterpret_cast<const float4*>(columns + lane * lane_stride(Chunks) + d);
#pragma unroll
    for (int r = 0; r < rows_per_warp; ++r) {
      const float4 row = *reinterpret_cast<const float4*>(rows + r * row_stride(Chunks) + d);
      products[r] += row.x * column.x + row.y * column.y + row.z * column.z + row.w * column.w;
    }
  }
}

/** sums[r][c] += Σ_j weights[r][j] · columns[j][lane + 32 c] for the warp's rows. */
template <int Chunks>
__device__ inline void add_weighted(const float* weights, const float* columns, int stride,
                                    float (&sums)[rows_per_warp][Chunks]) {
  const int lane = static_cast<int>(threadIdx.x) % warp_size;
  for (int j = 0; j < tile; ++j) {
    float column[Chunks];
#pragma unroll
    for (int c = 0; c < Chunks; ++c) column[c] = columns[j * stride + lane + warp_size * c];
#pragma unroll
    for (int r = 0; r < rows_per_warp; ++r) {
      const float weight = weights[r * tile + j];
#pragma unroll
      for (int c = 0; c < Chunks; ++c) sums[r][c] += weight * column[c];
    }
  }
}

/** Whether products are made by tensor cores, attention_bf16.cu: gradients of wider heads would not fit into registers there. */
inline bool uses_tensor_cores(const AttentionShape& s) { return s.may_round && s.dim <= 128; }
void attention_bf16(const AttentionShape& s, const float* q, const float* k, const float* v, float* o, float* lse);
void attention_gradients_bf16(const AttentionShape& s, const AttentionGradients& pointers);

/** Calls f.template operator()<Chunks>() with the fewest chunks of 32 components that hold dim ≤ 256. */
template <class F>
void with_chunks(int64_t dim, const F& f) {
  if (dim <= 32) f.template operator()<1>();
  else if (dim <= 64) f.template operator()<2>();
  else if (dim <= 128) f.template operator()<4>();
  else f.template operator()<8>();
}

}  // namespace forge::cuda
