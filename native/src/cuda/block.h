#pragma once
/** Sums and maxima over the threads of a warp or a block, in an order that depends on the block's size only. */
#include "cuda/launch.h"

namespace forge::cuda {

template <class T>
__device__ T warp_sum(T value) {
  for (int step = warp_size / 2; step > 0; step /= 2) value += __shfl_xor_sync(all_lanes, value, step);
  return value;
}

/** NaN is passed over: what is made of the maximum shows it. */
__device__ inline float warp_max(float value) {
  for (int step = warp_size / 2; step > 0; step /= 2) value = fmaxf(value, __shfl_xor_sync(all_lanes, value, step));
  return value;
}

constexpr int most_warps = 32;

/** The sum for every thread of a block of whole warps; all threads call it. */
template <class T>
__device__ T block_sum(T value) {
  __shared__ T partial[most_warps];
  const int warp = static_cast<int>(threadIdx.x) / warp_size, warps = static_cast<int>(blockDim.x) / warp_size;
  value = warp_sum(value);
  __syncthreads();  // the sums of the call before are read
  if (threadIdx.x % warp_size == 0) partial[warp] = value;
  __syncthreads();
  T total = partial[0];
  for (int i = 1; i < warps; ++i) total += partial[i];
  return total;
}

__device__ inline float block_max(float value) {
  __shared__ float partial[most_warps];
  const int warp = static_cast<int>(threadIdx.x) / warp_size, warps = static_cast<int>(blockDim.x) / warp_size;
  value = warp_max(value);
  __syncthreads();
  if (threadIdx.x % warp_size == 0) partial[warp] = value;
  __syncthreads();
  float top = partial[0];
  for (int i = 1; i < warps; ++i) top = fmaxf(top, partial[i]);
  return top;
}

/** Threads of a block that works on one row: whole warps, at most 512. */
inline int threads_for_row(int64_t width) {
  return static_cast<int>(min64(512, max64(warp_size, ceil_div(width, warp_size) * warp_size)));
}

}  // namespace forge::cuda
