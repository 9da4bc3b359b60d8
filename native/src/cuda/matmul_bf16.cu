#include "cuda/gemm_library.h"
#include "cuda/table.h"
#include "cuda/tensor_core.h"

/**
 * Dense products with operands rounded to bf16, on tensor cores; sums in f32. Large ones by cuBLASLt where it is installed
 * (gemm_library.cc), from operands rounded beforehand. Otherwise a block makes a tile of c from tiles of a and b that it
 * rounds on their way to shared memory, padded with zeros, so that any size will do; a warp makes 16·RowTiles × 32 of it.
 */
namespace forge::cuda {
namespace {

constexpr int depth = 32;            // k per step: two instructions
constexpr int pairs = depth / 2;     // words of a row of a tile: two bf16 each
constexpr int stride = pairs + 4;    // 20 words: the eight rows × four pairs that a fragment reads lie in different banks
constexpr int column_tiles_of_warp = 4;

/** tile[i][pair] = op(x)[first + i, k0 + 2·pair …], zeros outside; op(x)[i, k] is at i·ldx + k, or transposed at k·ldx + i. */
template <int Rows, bool Transposed>
__device__ inline void load_tile(const float* x, int64_t ldx, int64_t first, int64_t length, int64_t k0, int64_t k,
                                 uint32_t (*tile)[stride]) {
  for (int at = static_cast<int>(threadIdx.x); at < Rows * pairs; at += static_cast<int>(blockDim.x)) {
    const int i = Transposed ? at % Rows : at / pairs, pair = Transposed ? at / Rows : at % pairs;
    const int64_t row = first + i;
    uint32_t word = 0;
    for (int half = 0; half < 2; ++half) {
      const int64_t column = k0 + 2 * pair + half;
      if (row < length && column < k) word |= to_bf16(x[Transposed ? column * ldx + row : row * ldx + column]) << (16 * half);
    }
    tile[i][pair] = word;
  }
}

/** A block of 2 × ColumnWarps warps makes 32·RowTiles × 32·ColumnWarps of c. */
template <int RowTiles, int ColumnWarps, bool TransA, bool TransB>
__global__ void multiply(Gemm g, int64_t row_blocks, int64_t column_blocks) {
  constexpr int rows = 32 * RowTiles, columns = 32 * ColumnWarps;
  __shared__ uint32_t a_tile[rows][stride], b_tile[columns][stride];
  const int64_t product = blockIdx.x / (row_blocks * column_blocks), block = blockIdx.x % (row_blocks * column_blocks);
  const int64_t row0 = block / column_blocks * rows, column0 = block % column_blocks * columns;
  const float *a = g.a + product * g.stride_a, *b = g.b + product * g.stride_b;
  const int warp = static_cast<int>(threadIdx.x) / warp_size, lane = static_cast<int>(threadIdx.x) % warp_size;
  const int row = lane / 4, pair = lane % 4;
  const int warp_row = warp / ColumnWarps * 16 * RowTiles, warp_column = warp % ColumnWarps * 8 * column_tiles_of_warp;
  float sums[RowTiles][column_tiles_of_warp][4] = {};
  for (int64_t k0 = 0; k0 < g.k; k0 += depth) {
    load_tile<rows, TransA>(a, g.lda, row0, g.m, k0, g.k, a_tile);
    load_tile<columns, !TransB>(b, g.ldb, column0, g.n, k0, g.k, b_tile);
    __syncthreads();
#pragma unroll
    for (int step = 0; step < pairs; step += 8) {
      uint32_t left[RowTiles][4], right[column_tiles_of_warp][2];
#pragma unroll
      for (int i = 0; i < RowTiles; ++i) {
        const uint32_t* from = a_tile[warp_row + 16 * i + row] + step + pair;
        left[i][0] = from[0];
        left[i][1] = from[8 * stride];
        left[i][2] = from[4];
        left[i][3] = from[8 * stride + 4];
      }
#pragma unroll
      for (int j = 0; j < column_tiles_of_warp; ++j) {
        const uint32_t* from = b_tile[warp_column + 8 * j + row] + step + pair;
        right[j][0] = from[0];
        right[j][1] = from[4];
      }
#pragma unroll
      for (int i = 0; i < RowTiles; ++i) {
#pragma unroll
        for (int j = 0; j < column_tiles_of_warp; ++j) multiply_fragments(sums[i][j], left[i], right[j]);
      }
    }
    __syncthreads();
  }
  float* c = g.c + product * g.stride_c;
#pragma unroll
  for (int i = 0; i < RowTiles; ++i) {
#pragma unroll
    for (int j = 0; j < column_tiles_of_warp; ++j) {
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int64_t to_row = row0 + warp_row + 16 * i + row + part / 2 * 8;
        const int64_t to_column = column0 + warp_column + 8 * j + 2 * pair + part % 2;
        if (to_row >= g.m || to_column >= g.n) continue;
        float* to = c + to_row * g.ldc + to_column;
        *to = g.beta == 0.0f ? sums[i][j][part] : sums[i][j][part] + g.beta * *to;
      }
    }
  }
}

template <int RowTiles, int ColumnWarps>
void multiply_with(const Gemm& g) {
  const int64_t row_blocks = ceil_div(g.m, 32 * RowTiles), column_blocks = ceil_div(g.n, 32 * ColumnWarps);
  const auto kernel =
      g.trans_a ? (g.trans_b ? multiply<RowTiles, ColumnWarps, true, true> : multiply<RowTiles, ColumnWarps, true, false>)
                : (g.trans_b ? multiply<RowTiles, ColumnWarps, false, true> : multiply<RowTiles, ColumnWarps, false, false>);
  launch("gemm_bf16", kernel, row_blocks * column_blocks * g.batch, 2 * ColumnWarps * warp_size, 0, g, row_blocks,
         column_blocks);
}

/** Four elements a thread, in two words; zeros beyond the columns. */
void round_matrices(const StoredOperand& s, uint16_t* rounded) {
  const int64_t groups = s.rounded_ld() / 4, rows = s.rows;
  auto* const to = reinterpret_cast<uint32_t*>(rounded);
  for_each("gemm_bf16", s.rounded_elements() / 4, [=] __device__(int64_t i) {
    const int64_t column = i % groups * 4, row = i / groups;
    const float* from = s.x + row / rows * s.stride + row % rows * s.ldx + column;
    for (int word = 0; word < 2; ++word) {
      const int64_t left = s.columns - column - 2 * word;
      to[2 * i + word] = to_bf16_pair(left > 0 ? from[2 * word] : 0.0f, left > 1 ? from[2 * word + 1] : 0.0f);
    }
  });
}

/**
 * Multiply-adds from which the library is asked. Below, two launches that round the operands would take longer than what
 * its product can gain on ours; reckoned (2^28 operations are 3 µs at 100 TFLOPS), not measured.
 */
constexpr double library_multiply_adds = 1 << 27;

bool is_for_library(const Gemm& g) {
  const double multiply_adds = static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k) *
                               static_cast<double>(g.batch);
  return multiply_adds >= library_multiply_adds && takes_library_gemm_bf16(g);
}

}  // namespace

void round_operands(const Gemm& g, void* scratch) {
  round_matrices(stored_a(g), static_cast<uint16_t*>(scratch));
  round_matrices(stored_b(g), rounded_b(g, scratch));
}

void builtin_gemm_bf16(const Gemm& g) {
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
  // Large tiles only where they are enough to fill a GPU of about a hundred multiprocessors.
  constexpr int64_t enough_blocks = 100;
  if (ceil_div(g.m, 128) * ceil_div(g.n, 128) * g.batch >= enough_blocks) multiply_with<4, 4>(g);
  else multiply_with<2, 2>(g);
}

int64_t gemm_bf16_scratch(const Gemm& g) { return is_for_library(g) ? rounded_bytes(g) : 0; }

void gemm_bf16(const Gemm& g, float* scratch) {
  if (is_for_library(g)) {
    round_operands(g, scratch);
    if (library_gemm_bf16(g, scratch)) return;
  }
  builtin_gemm_bf16(g);
}

}  // namespace forge::cuda
