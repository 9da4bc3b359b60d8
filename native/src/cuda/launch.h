#pragma once
/**
 * What every kernel file includes: the language of kernels, from nvcc or, in ctest on a machine without a GPU, from
 * test/cuda_emulation; and the host's way to start one. Kernels use no float atomics and sum in an order that
 * depends on sizes only, so that the same call gives the same bytes.
 */
#if defined(FORGE_CUDA_EMULATION)
#include "cuda_emulation/emulation.h"
#else
#include <cuda_runtime.h>
/** Shared memory whose size the launch gives. */
#define FORGE_DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]
#endif

#include <cstdint>

#include "core/kernels.h"
#include "cuda/device.h"

namespace forge::cuda {

#if !defined(FORGE_CUDA_EMULATION)
/** Starts a kernel on the calling thread's queue; an empty grid is no work, and after a failure nothing is started. */
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), int64_t blocks, int threads, int64_t shared_bytes,
            Arguments... arguments) {
  const cudaStream_t queue = stream();
  if (blocks <= 0 || has_failed()) return;
  constexpr int64_t always_allowed = 48 << 10;
  if (shared_bytes > always_allowed) {
    note(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
         name);
  }
  kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), static_cast<size_t>(shared_bytes),
           queue>>>(arguments...);
  note(cudaGetLastError(), name);
}
#endif

constexpr __host__ __device__ int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr __host__ __device__ int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
constexpr __host__ __device__ int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

constexpr int warp_size = 32;
constexpr unsigned all_lanes = 0xffffffffu;

template <class F>
__global__ void each(int64_t n, F f) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) f(i);
}

/** f(i) for 0 ≤ i < n, one thread each, or several i a thread when n is large. */
template <class F>
void for_each(const char* name, int64_t n, F f) {
  constexpr int threads = 256;
  constexpr int64_t most_blocks = 4096;  // enough to fill a hundred multiprocessors several times
  launch(name, each<F>, min64(ceil_div(n, threads), most_blocks), threads, 0, n, f);
}

}  // namespace forge::cuda
