#include "cuda/block.h"
#include "cuda/order.h"
#include "cuda/philox.h"
#include "cuda/table.h"

/** Choices by keyed random numbers, and the largest of a row. */
namespace forge::cuda {
namespace {

constexpr int threads = 256;

/** The k first of a row in the order of `precedes`: each thread holds the best of its share, k times the best of all is taken. */
__global__ void choose_largest(const float* x, float* values, int32_t* index, int64_t width, int64_t k) {
  __shared__ float best[threads];
  __shared__ int64_t at[threads];
  const float* row = x + blockIdx.x * width;
  float mine = 0.0f;
  int64_t mine_at = width;  // none
  // The best of the thread's share that comes after the one given; any when that is `width`.
  const auto find_next = [&](float after, int64_t after_at) {
    mine_at = width;
    for (int64_t i = threadIdx.x; i < width; i += threads) {
      if (after_at < width && !precedes(after, after_at, row[i], i)) continue;
      if (mine_at < width && !precedes(row[i], i, mine, mine_at)) continue;
      mine = row[i];
      mine_at = i;
    }
  };
  find_next(0.0f, width);
  for (int64_t taken = 0; taken < k; ++taken) {
    best[threadIdx.x] = mine;
    at[threadIdx.x] = mine_at;
    for (unsigned half = threads / 2; half > 0; half /= 2) {
      __syncthreads();
      const unsigned other = threadIdx.x + half;
      if (threadIdx.x >= half || at[other] == width) continue;
      if (at[threadIdx.x] == width || precedes(best[other], at[other], best[threadIdx.x], at[threadIdx.x])) {
        best[threadIdx.x] = best[other];
        at[threadIdx.x] = at[other];
      }
    }
    __syncthreads();
    const float winner = best[0];
    const int64_t winner_at = at[0];
    __syncthreads();  // everyone has read the winner
    if (threadIdx.x == 0) {
      values[blockIdx.x * k + taken] = winner;
      index[blockIdx.x * k + taken] = static_cast<int32_t>(winner_at);
    }
    if (mine_at == winner_at) find_next(winner, winner_at);
  }
}

/** Threads sum consecutive shares of a row in f64; the first one finds the share that the draw falls into, and walks it. */
__global__ void draw(const float* logits, int32_t* y, int64_t width, Philox key) {
  __shared__ double sums[threads];
  const int64_t row = blockIdx.x, share = ceil_div(width, threads);
  const float* z = logits + row * width;
  float top = -INFINITY;
  int has_nan = 0;
  for (int64_t i = threadIdx.x; i < width; i += threads) {
    top = fmaxf(top, z[i]);
    has_nan |= z[i] != z[i];
  }
  top = block_max(top);
  const bool is_bad = __syncthreads_or(has_nan) != 0 || !(top > -INFINITY && top < INFINITY);
  double sum = 0;
  if (!is_bad) {
    for (int64_t i = threadIdx.x * share; i < min64(width, (threadIdx.x + 1) * share); ++i) {
      sum += static_cast<double>(expf(z[i] - top));
    }
  }
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  y[row] = -1;
  if (is_bad) return;
  double total = 0;
  for (const double part : sums) total += part;
  const uint32_t word = philox_block(key, key.counter + static_cast<uint64_t>(row / 4)).words[row % 4] >> 8;
  const double wanted = (word + 0.5) * 0x1p-24 * total;
  // The last share with weight, should rounding leave `wanted` at the end.
  double passed = 0, before = 0;
  int64_t chosen = 0;
  for (int64_t s = 0; s < threads; ++s) {
    if (sums[s] == 0) continue;
    chosen = s;
    before = passed;
    passed += sums[s];
    if (wanted < passed) break;
  }
  passed = before;
  for (int64_t i = chosen * share; i < min64(width, (chosen + 1) * share); ++i) {
    const float weight = expf(z[i] - top);
    if (weight == 0.0f) continue;
    y[row] = static_cast<int32_t>(i);
    passed += static_cast<double>(weight);
    if (wanted < passed) return;
  }
}

}  // namespace

void dropout(const float* x, float* y, int64_t n, double keep, const Philox& key) {
  const Philox k = key;
  // The number of 24-bit words that are below keep, as a share of all.
  const double scaled = keep * 0x1p24;
  const auto whole = static_cast<uint32_t>(scaled);
  const uint32_t threshold = static_cast<double>(whole) < scaled ? whole + 1 : whole;
  const auto factor = static_cast<float>(1 / keep);
  for_each("dropout", ceil_div(n, 4), [=] __device__(int64_t b) {
    const PhiloxBlock block = philox_block(k, first_block(k) + static_cast<uint64_t>(b));
    for (int j = 0; j < 4 && 4 * b + j < n; ++j) {
      y[4 * b + j] = block.words[j] >> 8 < threshold ? x[4 * b + j] * factor : 0.0f;
    }
  });
}

void top_k(const float* x, float* values, int32_t* index, int64_t rows, int64_t width, int64_t k) {
  launch("top_k", choose_largest, rows, threads, 0, x, values, index, width, k);
}

void categorical(const float* logits, int32_t* y, int64_t rows, int64_t width, const Philox& key) {
  launch("categorical", draw, rows, threads, 0, logits, y, width, key);
}

}  // namespace forge::cuda
