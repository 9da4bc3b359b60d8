#include "cuda/launch.h"
#include "cuda/table.h"

/**
 * Rows with the same index are added by one block, in order, so that the sum does not depend on timing. The block of
 * the first such row does it; to know that it is first, a block reads the indices before its own. That is count²/2
 * comparisons of indices in cache, little beside the rows for the tens of thousands of tokens of a batch.
 */
namespace forge::cuda {
namespace {

constexpr int threads = 128;

__global__ void scatter(float* table, const int32_t* index, const float* rows, int64_t count, int64_t width) {
  __shared__ int64_t found[threads];
  const int64_t own = blockIdx.x;
  const int32_t target = index[own];
  int earlier = 0;
  for (int64_t base = 0; base < own; base += threads) {
    const int64_t i = base + threadIdx.x;
    earlier = i < own && index[i] == target;
    if (__syncthreads_or(earlier)) return;
  }
  for (int64_t base = own; base < count; base += threads) {
    const int64_t i = base + threadIdx.x;
    const int matches = i < count && index[i] == target;
    found[threadIdx.x] = matches ? i : -1;
    if (!__syncthreads_or(matches)) continue;
    const int64_t here = min64(threads, count - base);
    for (int64_t column = threadIdx.x; column < width; column += threads) {
      float sum = table[target * width + column];
      for (int64_t j = 0; j < here; ++j) {
        if (found[j] >= 0) sum += rows[found[j] * width + column];
      }
      table[target * width + column] = sum;
    }
    __syncthreads();  // before `found` changes
  }
}

}  // namespace

void scatter_add_rows(float* table, const int32_t* index, const float* rows, int64_t count, int64_t width) {
  if (width > 0) launch("scatter_add_rows", scatter, count, threads, 0, table, index, rows, count, width);
}

}  // namespace forge::cuda
