#include "cuda/launch.h"
#include "cuda/table.h"

namespace forge::cuda {
namespace {

template <class T>
void gather(const void* from, const int32_t* index, void* to, int64_t count, int64_t width) {
  const auto* x = static_cast<const T*>(from);
  auto* y = static_cast<T*>(to);
  for_each("gather_rows", count * width, [=] __device__(int64_t i) { y[i] = x[index[i / width] * width + i % width]; });
}

/** One block looks through everything: the first position matters, and indices are few. */
__global__ void find_outside(const int32_t* index, int64_t n, int64_t limit, int64_t exception, int64_t* result) {
  __shared__ int64_t first[1024];
  int64_t mine = n;
  for (int64_t i = threadIdx.x; i < n && mine == n; i += blockDim.x) {
    if ((index[i] < 0 || index[i] >= limit) && index[i] != exception) mine = i;
  }
  first[threadIdx.x] = mine;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) first[threadIdx.x] = min64(first[threadIdx.x], first[threadIdx.x + half]);
  }
  if (threadIdx.x == 0) *result = first[0];
}

}  // namespace

void gather_rows(const void* x, const int32_t* index, void* y, int64_t count, int64_t bytes) {
  const uint64_t all = reinterpret_cast<uint64_t>(x) | reinterpret_cast<uint64_t>(y) | static_cast<uint64_t>(bytes);
  if (bytes == 0) return;
  if (all % 8 == 0) gather<uint64_t>(x, index, y, count, bytes / 8);
  else if (all % 4 == 0) gather<uint32_t>(x, index, y, count, bytes / 4);
  else gather<uint8_t>(x, index, y, count, bytes);
}

int64_t first_outside(const int32_t* index, int64_t n, int64_t limit, int64_t exception) {
  if (n == 0) return -1;
  auto* result = static_cast<int64_t*>(workspace());
  launch("first_outside", find_outside, 1, n > 4096 ? 1024 : 128, 0, index, n, limit, exception, result);
  int64_t first = n;
  read_back(&first, result, sizeof first);
  return first < n ? first : -1;
}

}  // namespace forge::cuda
