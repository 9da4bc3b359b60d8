#include "cuda/attention.h"
#include "cuda/tensor_core.h"

/**
 * Attention and its gradients with the products on tensor cores: queries, keys, values, weights and their gradients are
 * rounded to bf16 on their way into a product; sums, the softmax and what it keeps are f32 (Dao 2023, arXiv:2307.08691). A warp
 * has 16 rows of a block's 64, and walks columns 32 at a time. What it makes of one product, it holds as the next one needs
 * it: the sums of two tiles of 8 columns are the left operand of 16.
 */
namespace forge::cuda {
namespace {

constexpr int rows = 16 * attention_warps;
constexpr int columns = 32;
constexpr int column_tiles = columns / 8;

/** Words from one row of `Dim` components, two a word, to the next; and from one component of `columns` rows to the next. */
template <int Dim>
constexpr int row_words = Dim / 2 + 4;
constexpr int component_words = columns / 2 + 4;  // 20, as in matmul_bf16.cu: fragments read different banks

/** What a warp made of its rows and a step's columns; a lane has two neighbouring columns of rows `row` and row + 8. */
using Scores = float[column_tiles][4];
template <int Dim>
using Sums = float[Dim / 8][4];

/** The element of a tensor's row, 0 outside. */
__device__ inline float element(const float* x, int64_t ldx, int64_t row, int64_t count, int d, int64_t dim) {
  return row < count && d < dim ? x[row * ldx + d] : 0.0f;
}

/** by_row[i] = components of row first + i in pairs; zeros beyond `count` rows and `dim` components. */
template <int Dim, int Rows>
__device__ void load(const float* x, int64_t ldx, int64_t first, int64_t count, int64_t dim, uint32_t* by_row) {
  constexpr int pairs = Dim / 2;
  for (int at = static_cast<int>(threadIdx.x); at < Rows * pairs; at += attention_threads) {
    const int i = at / pairs, d = at % pairs * 2;
    by_row[i * row_words<Dim> + d / 2] = to_bf16_pair(element(x, ldx, first + i, count, d, dim),
                                                      element(x, ldx, first + i, count, d + 1, dim));
  }
}

/** The same for a step's columns, unless by_row is null, and by_component[d] = component d of these in pairs. */
template <int Dim>
__device__ void load_both(const float* x, int64_t ldx, int64_t first, int64_t count, int64_t dim, uint32_t* by_row,
                          uint32_t* by_component) {
  constexpr int pairs = Dim / 2;
  for (int at = static_cast<int>(threadIdx.x); at < columns / 2 * pairs; at += attention_threads) {
    const int i = at / pairs * 2, d = at % pairs * 2;
    const float corner = element(x, ldx, first + i, count, d, dim), right = element(x, ldx, first + i, count, d + 1, dim);
    const float below = element(x, ldx, first + i + 1, count, d, dim);
    const float across = element(x, ldx, first + i + 1, count, d + 1, dim);
    if (by_row != nullptr) {
      by_row[i * row_words<Dim> + d / 2] = to_bf16_pair(corner, right);
      by_row[(i + 1) * row_words<Dim> + d / 2] = to_bf16_pair(below, across);
    }
    by_component[d * component_words + i / 2] = to_bf16_pair(corner, below);
    by_component[(d + 1) * component_words + i / 2] = to_bf16_pair(right, across);
  }
}

/** scores = the warp's rows · columns, over components. */
template <int Dim>
__device__ inline void multiply_rows(const uint32_t* by_row, const uint32_t* by_column, int lane, Scores& scores) {
  const int row = lane / 4, pair = lane % 4;
#pragma unroll
  for (auto& tile : scores) {
    for (float& score : tile) score = 0.0f;
  }
#pragma unroll
  for (int step = 0; step < Dim / 2; step += 8) {
    const uint32_t* const left = by_row + row * row_words<Dim> + step + pair;
    const uint32_t a[4] = {left[0], left[8 * row_words<Dim>], left[4], left[8 * row_words<Dim> + 4]};
#pragma unroll
    for (int j = 0; j < column_tiles; ++j) {
      const uint32_t* const right = by_column + (8 * j + row) * row_words<Dim> + step + pair;
      const uint32_t b[2] = {right[0], right[4]};
      multiply_fragments(scores[j], a, b);
    }
  }
}

/** sums += weights · columns, over columns. */
template <int Dim>
__device__ inline void add_weighted_columns(const Scores& weights, const uint32_t* by_component, int lane, Sums<Dim>& sums) {
  const int row = lane / 4, pair = lane % 4;
#pragma unroll
  for (int step = 0; step < column_tiles / 2; ++step) {
    const auto &early = weights[2 * step], &late = weights[2 * step + 1];
    const uint32_t a[4] = {to_bf16_pair(early[0], early[1]), to_bf16_pair(early[2], early[3]),
                           to_bf16_pair(late[0], late[1]), to_bf16_pair(late[2], late[3])};
#pragma unroll
    for (int n = 0; n < Dim / 8; ++n) {
      const uint32_t* const right = by_component + (8 * n + row) * component_words + 8 * step + pair;
      const uint32_t b[2] = {right[0], right[4]};
      multiply_fragments(sums[n], a, b);
    }
  }
}

/** Calls f(row within the warp's 16, column within the tile's 8, part) for each of a lane's four. */
template <class F>
__device__ inline void for_parts(int lane, const F& f) {
#pragma unroll
  for (int part = 0; part < 4; ++part) f(lane / 4 + part / 2 * 8, lane % 4 * 2 + part % 2, part);
}

/** Writes factor[half] · sums as the warp's rows, from `first` on, of a tensor of `count` rows. */
template <int Dim>
__device__ inline void store(const Sums<Dim>& sums, const float (&factor)[2], int64_t first, int64_t count, int64_t ld,
                             int64_t dim, int lane, float* to) {
#pragma unroll
  for (int n = 0; n < Dim / 8; ++n) {
    for_parts(lane, [&](int row, int column, int part) {
      const int64_t d = 8 * n + column;
      if (first + row < count && d < dim) to[(first + row) * ld + d] = sums[n][part] * factor[part / 2];
    });
  }
}

/** Of the four lanes that share a row. */
__device__ inline float quad_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(all_lanes, value, 1));
  return fmaxf(value, __shfl_xor_sync(all_lanes, value, 2));
}
__device__ inline float quad_sum(float value) {
  value += __shfl_xor_sync(all_lanes, value, 1);
  return value + __shfl_xor_sync(all_lanes, value, 2);
}

/** Words of shared memory: queries; keys, and values by component. */
template <int Dim>
constexpr int forward_words = (rows + columns) * row_words<Dim> + Dim * component_words;

template <int Dim>
__global__ void attend(AttentionShape s, const float* q, const float* k, const float* v, float* o, float* lse) {
  FORGE_DYNAMIC_SHARED(uint32_t, shared);
  uint32_t* const queries = shared;
  uint32_t* const keys = queries + rows * row_words<Dim>;
  uint32_t* const values = keys + columns * row_words<Dim>;
  const auto [head_index, first, ldq, ldk, q_at, k_at, begin, end, lane, row0] = query_tile<rows>(s);
  load<Dim, rows>(q + q_at, ldq, first, s.queries, s.dim, queries);

  const int64_t row_query = first + row0;
  // `total` is of the weights, `entered` of what was rounded and multiplied: o is a mean by the weights that made it.
  float top[2] = {-INFINITY, -INFINITY}, total[2] = {}, entered[2] = {}, factor[2];
  Sums<Dim> sums = {};
  for (int64_t k0 = begin; k0 < end; k0 += columns) {
    __syncthreads();
    load<Dim, columns>(k + k_at, ldk, k0, s.keys, s.dim, keys);
    load_both<Dim>(v + k_at, ldk, k0, s.keys, s.dim, nullptr, values);
    __syncthreads();
    Scores scores;
    multiply_rows<Dim>(queries + row0 * row_words<Dim>, keys, lane, scores);
    float best[2] = {-INFINITY, -INFINITY}, added[2] = {}, rounded[2] = {};
    uint32_t seen = 0;  // a score of −∞ is not the same as none
    for (int j = 0; j < column_tiles; ++j) {
      for_parts(lane, [&](int row, int column, int part) {
        float& score = scores[j][part];
        if (!is_visible(s, row_query + row, k0 + 8 * j + column)) return;
        seen |= 1u << (4 * j + part);
        score *= s.scale;
        best[part / 2] = fmaxf(best[part / 2], score);
      });
    }
    for (int half = 0; half < 2; ++half) {
      best[half] = fmaxf(top[half], quad_max(best[half]));
      const float shrink = top[half] == best[half] ? 1.0f : expf(top[half] - best[half]);
      total[half] *= shrink;
      entered[half] *= shrink;
#pragma unroll
      for (auto& tile : sums) {
        tile[2 * half] *= shrink;
        tile[2 * half + 1] *= shrink;
      }
      top[half] = best[half];
    }
    for (int j = 0; j < column_tiles; ++j) {
      for_parts(lane, [&](int, int, int part) {
        float& score = scores[j][part];
        score = (seen >> (4 * j + part) & 1) != 0 ? expf(score - best[part / 2]) : 0.0f;
        added[part / 2] += score;
        rounded[part / 2] += as_bf16(score);
      });
    }
    for (int half = 0; half < 2; ++half) {
      total[half] += quad_sum(added[half]);
      entered[half] += quad_sum(rounded[half]);
    }
    add_weighted_columns<Dim>(scores, values, lane, sums);
  }
  for (int half = 0; half < 2; ++half) {
    factor[half] = total[half] == 0.0f ? 0.0f : 1.0f / entered[half];
    const int64_t t = row_query + lane / 4 + 8 * half;
    if (t < s.queries && lane % 4 == 0) {
      lse[head_index * s.queries + t] = total[half] == 0.0f ? -INFINITY : top[half] + logf(total[half]);
    }
  }
  store<Dim>(sums, factor, row_query, s.queries, ldq, s.dim, lane, o + q_at);
}

/**
 * weight becomes P = exp(scale·score − lse), 0 where the key is not seen, and slope dS = P∘(dP − delta)·scale. `query` and
 * `key` give the position of a part of a tile.
 */
template <class Query, class Key>
__device__ inline void differentiate(const AttentionShape& s, const float* lse, const float* delta, int64_t rows_at, int lane,
                                     const Query& query, const Key& key, Scores& weights, Scores& slopes) {
#pragma unroll
  for (int j = 0; j < column_tiles; ++j) {
    for_parts(lane, [&](int row, int column, int part) {
      const int64_t t = query(row, 8 * j + column);
      const bool visible = t < s.queries && is_visible(s, t, key(row, 8 * j + column));
      const float weight = visible ? expf(s.scale * weights[j][part] - lse[rows_at + t]) : 0.0f;
      slopes[j][part] = visible ? weight * (slopes[j][part] - delta[rows_at + t]) * s.scale : 0.0f;
      weights[j][part] = weight;
    });
  }
}

/** Words of shared memory: queries, d_o; keys in both ways, values. */
template <int Dim>
constexpr int query_words = (2 * rows + 2 * columns) * row_words<Dim> + Dim * component_words;

template <int Dim>
__global__ void query_gradient(AttentionShape s, AttentionGradients p) {
  FORGE_DYNAMIC_SHARED(uint32_t, shared);
  uint32_t* const queries = shared;
  uint32_t* const d_outs = queries + rows * row_words<Dim>;
  uint32_t* const keys = d_outs + rows * row_words<Dim>;
  uint32_t* const values = keys + columns * row_words<Dim>;
  uint32_t* const keys_by_component = values + columns * row_words<Dim>;
  const auto [head_index, first, ldq, ldk, q_at, k_at, begin, end, lane, row0] = query_tile<rows>(s);
  load<Dim, rows>(p.q + q_at, ldq, first, s.queries, s.dim, queries);
  load<Dim, rows>(p.d_o + q_at, ldq, first, s.queries, s.dim, d_outs);

  const int64_t row_query = first + row0;
  Sums<Dim> sums = {};
  for (int64_t k0 = begin; k0 < end; k0 += columns) {
    __syncthreads();
    load_both<Dim>(p.k + k_at, ldk, k0, s.keys, s.dim, keys, keys_by_component);
    load<Dim, columns>(p.v + k_at, ldk, k0, s.keys, s.dim, values);
    __syncthreads();
    Scores weights, slopes;
    multiply_rows<Dim>(queries + row0 * row_words<Dim>, keys, lane, weights);
    multiply_rows<Dim>(d_outs + row0 * row_words<Dim>, values, lane, slopes);
    differentiate(
        s, p.lse, p.delta, head_index * s.queries, lane, [=](int row, int) { return row_query + row; },
        [=](int, int column) { return k0 + column; }, weights, slopes);
    add_weighted_columns<Dim>(slopes, keys_by_component, lane, sums);
  }
  store<Dim>(sums, {1.0f, 1.0f}, row_query, s.queries, ldq, s.dim, lane, p.dq + q_at);
}

/** Words of shared memory: keys, values; queries and d_o in both ways. */
template <int Dim>
constexpr int key_words = (2 * rows + 2 * columns) * row_words<Dim> + 2 * Dim * component_words;

template <int Dim>
__global__ void key_gradient(AttentionShape s, AttentionGradients p) {
  FORGE_DYNAMIC_SHARED(uint32_t, shared);
  uint32_t* const keys = shared;
  uint32_t* const values = keys + rows * row_words<Dim>;
  uint32_t* const queries = values + rows * row_words<Dim>;
  uint32_t* const d_outs = queries + columns * row_words<Dim>;
  uint32_t* const queries_by_component = d_outs + columns * row_words<Dim>;
  uint32_t* const d_outs_by_component = queries_by_component + Dim * component_words;
  const auto [batch, first_head, end_head, first, ldq, ldk, k_at, begin, end, lane, row0] = key_tile<rows>(s);
  load<Dim, rows>(p.k + k_at, ldk, first, s.keys, s.dim, keys);
  load<Dim, rows>(p.v + k_at, ldk, first, s.keys, s.dim, values);

  const int64_t row_key = first + row0;
  Sums<Dim> k_sums = {}, v_sums = {};
  for (int64_t head = first_head; head < end_head; ++head) {
    const int64_t q_at = (batch * s.queries * s.q_heads + head) * s.dim;
    for (int64_t t0 = begin; t0 < end; t0 += columns) {
      __syncthreads();
      load_both<Dim>(p.q + q_at, ldq, t0, s.queries, s.dim, queries, queries_by_component);
      load_both<Dim>(p.d_o + q_at, ldq, t0, s.queries, s.dim, d_outs, d_outs_by_component);
      __syncthreads();
      Scores weights, slopes;
      multiply_rows<Dim>(keys + row0 * row_words<Dim>, queries, lane, weights);
      multiply_rows<Dim>(values + row0 * row_words<Dim>, d_outs, lane, slopes);
      differentiate(
          s, p.lse, p.delta, (batch * s.q_heads + head) * s.queries, lane, [=](int, int column) { return t0 + column; },
          [=](int row, int) { return row_key + row; }, weights, slopes);
      add_weighted_columns<Dim>(weights, d_outs_by_component, lane, v_sums);
      add_weighted_columns<Dim>(slopes, queries_by_component, lane, k_sums);
    }
  }
  store<Dim>(k_sums, {1.0f, 1.0f}, row_key, s.keys, ldk, s.dim, lane, p.dk + k_at);
  store<Dim>(v_sums, {1.0f, 1.0f}, row_key, s.keys, ldk, s.dim, lane, p.dv + k_at);
}

/** Calls f.template operator()<Dim>() with the least multiple of 32 among 32, 64 and 128 that holds dim. */
template <class F>
void with_dim(int64_t dim, const F& f) {
  if (dim <= 32) f.template operator()<32>();
  else if (dim <= 64) f.template operator()<64>();
  else f.template operator()<128>();
}

constexpr auto word_bytes = static_cast<int64_t>(sizeof(uint32_t));

}  // namespace

void attention_bf16(const AttentionShape& s, const float* q, const float* k, const float* v, float* o, float* lse) {
  with_dim(s.dim, [&]<int Dim>() {
    launch("attention_bf16", attend<Dim>, s.batch * s.q_heads * ceil_div(s.queries, rows), attention_threads,
           forward_words<Dim> * word_bytes, s, q, k, v, o, lse);
  });
}

void attention_gradients_bf16(const AttentionShape& s, const AttentionGradients& p) {
  with_dim(s.dim, [&]<int Dim>() {
    launch("attention_backward_bf16", query_gradient<Dim>, s.batch * s.q_heads * ceil_div(s.queries, rows),
           attention_threads, query_words<Dim> * word_bytes, s, p);
    launch("attention_backward_bf16", key_gradient<Dim>, s.batch * s.kv_heads * ceil_div(s.keys, rows),
           attention_threads, key_words<Dim> * word_bytes, s, p);
  });
}

}  // namespace forge::cuda
