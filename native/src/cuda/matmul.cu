#include "cuda/gemm_library.h"
#include "cuda/launch.h"
#include "cuda/table.h"

/**
 * Dense products in f32: cuBLASLt where it is installed (gemm_library.cc), otherwise these. A block makes a tile of c from
 * tiles of a and b in shared memory, a thread a square of it in registers; f32 multiply-add, k in order.
 */
namespace forge::cuda {
namespace {

constexpr int threads = 256;  // 16 × 16
constexpr int depth = 16;     // k per step

/** Side of the square of c that a block makes with `per_thread`² elements a thread. */
constexpr int side(int per_thread) { return 16 * per_thread; }

/** tile[k][i] = op(x)[i, k], zeros outside; op(x)[i, k] is at i·ldx + k, or transposed at k·ldx + i. */
template <int Side, bool Transposed>
__device__ inline void load_tile(const float* x, int64_t ldx, int64_t first, int64_t length, int64_t k0, int64_t k,
                                 float (*tile)[Side + 1]) {
  for (int at = static_cast<int>(threadIdx.x); at < Side * depth; at += threads) {
    const int i = Transposed ? at % Side : at / depth, j = Transposed ? at / Side : at % depth;
    const int64_t row = first + i, column = k0 + j;
    const bool inside = row < length && column < k;
    tile[j][i] = inside ? x[Transposed ? column * ldx + row : row * ldx + column] : 0.0f;
  }
}

template <int PerThread, bool TransA, bool TransB>
__global__ void multiply(Gemm g, int64_t row_tiles, int64_t column_tiles) {
  constexpr int Side = side(PerThread);
  __shared__ float a_tile[depth][Side + 1], b_tile[depth][Side + 1];
  const int64_t product = blockIdx.x / (row_tiles * column_tiles), tile = blockIdx.x % (row_tiles * column_tiles);
  const int64_t row0 = tile / column_tiles * Side, column0 = tile % column_tiles * Side;
  const float *a = g.a + product * g.stride_a, *b = g.b + product * g.stride_b;
  float* c = g.c + product * g.stride_c;
  const int x = static_cast<int>(threadIdx.x) % 16, y = static_cast<int>(threadIdx.x) / 16;
  float sum[PerThread][PerThread] = {};
  for (int64_t k0 = 0; k0 < g.k; k0 += depth) {
    load_tile<Side, TransA>(a, g.lda, row0, g.m, k0, g.k, a_tile);
    load_tile<Side, !TransB>(b, g.ldb, column0, g.n, k0, g.k, b_tile);
    __syncthreads();
    for (int j = 0; j < depth; ++j) {
      float left[PerThread], right[PerThread];
      for (int i = 0; i < PerThread; ++i) {
        left[i] = a_tile[j][y + 16 * i];
        right[i] = b_tile[j][x + 16 * i];
      }
      for (int i = 0; i < PerThread; ++i) {
        for (int l = 0; l < PerThread; ++l) sum[i][l] += left[i] * right[l];
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < PerThread; ++i) {
    for (int l = 0; l < PerThread; ++l) {
      const int64_t row = row0 + y + 16 * i, column = column0 + x + 16 * l;
      if (row >= g.m || column >= g.n) continue;
      float* to = c + row * g.ldc + column;
      *to = g.beta == 0.0f ? sum[i][l] : sum[i][l] + g.beta * *to;
    }
  }
}

template <int PerThread>
void multiply_with(const Gemm& g) {
  const int64_t row_tiles = ceil_div(g.m, side(PerThread)), column_tiles = ceil_div(g.n, side(PerThread));
  const auto kernel =
      g.trans_a ? (g.trans_b ? multiply<PerThread, true, true> : multiply<PerThread, true, false>)
                : (g.trans_b ? multiply<PerThread, false, true> : multiply<PerThread, false, false>);
  launch("gemm", kernel, row_tiles * column_tiles * g.batch, threads, 0, g, row_tiles, column_tiles);
}

}  // namespace

void builtin_gemm(const Gemm& g) {
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
  // Large tiles only where they are enough to fill a GPU of about a hundred multiprocessors.
  constexpr int64_t enough_tiles = 100;
  const bool large = ceil_div(g.m, side(8)) * ceil_div(g.n, side(8)) * g.batch >= enough_tiles;
  if (large) multiply_with<8>(g);
  else multiply_with<4>(g);
}

int64_t gemm_scratch(const Gemm&) { return 0; }

void gemm(const Gemm& g, float*) {
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
  if (!library_gemm(g)) builtin_gemm(g);
}

}  // namespace forge::cuda
