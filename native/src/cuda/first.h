#pragma once
/** Searches whose answer the host waits for. */
#include "cuda/launch.h"

namespace forge::cuda {

constexpr int search_threads = 256;

/** found[block] = the first i of the block's share with is_wanted(i), else n. */
template <class F>
__global__ void search(int64_t n, F is_wanted, int64_t* found) {
  __shared__ int64_t first[search_threads];
  const int64_t step = static_cast<int64_t>(gridDim.x) * search_threads;
  int64_t mine = n;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * search_threads + threadIdx.x; i < n && mine == n; i += step) {
    if (is_wanted(i)) mine = i;
  }
  first[threadIdx.x] = mine;
  for (unsigned half = search_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) first[threadIdx.x] = min64(first[threadIdx.x], first[threadIdx.x + half]);
  }
  if (threadIdx.x == 0) found[blockIdx.x] = first[0];
}

/** The first i with is_wanted(i), 0 ≤ i < n; −1 when there is none. Waits for the queue. */
template <class F>
int64_t first_where(const char* name, int64_t n, F is_wanted) {
  constexpr int64_t most_blocks = 256;
  if (n == 0) return -1;
  auto* found = static_cast<int64_t*>(workspace());
  const int64_t blocks = min64(most_blocks, ceil_div(n, search_threads));
  launch(name, search<F>, blocks, search_threads, 0, n, is_wanted, found);
  int64_t each_first[most_blocks], first = n;
  read_back(each_first, found, blocks * static_cast<int64_t>(sizeof(int64_t)));
  for (int64_t block = 0; block < blocks; ++block) first = min64(first, each_first[block]);
  return first < n ? first : -1;
}

}  // namespace forge::cuda
