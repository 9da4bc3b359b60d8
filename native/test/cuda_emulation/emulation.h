#pragma once
/** The language of CUDA kernels on the processor; see README.md here. */
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__ [[maybe_unused]]
#define __device__
#define __host__
// Blocks run one after another, so one copy serves them all.
#define __shared__ static
#define FORGE_DYNAMIC_SHARED(type, name) type* const name = static_cast<type*>(::emulation::dynamic_shared())

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct float4 {
  float x, y, z, w;
};

namespace emulation {

// Of the fiber that runs.
extern uint3 thread_index, block_index;
extern dim3 block_size, grid_size;

/** Runs `blocks` blocks of `threads` fibers; while work is captured, keeps them for a replay. */
void run(const char* name, int64_t blocks, int threads, int64_t shared_bytes, std::function<void()> body);

void* dynamic_shared();

/** Waits for all threads of the block that have not ended; gives whether any brought a value other than 0. */
bool block_barrier(bool vote);
void warp_barrier(unsigned mask);

/** A word that each lane of a warp sees of every other. */
uint64_t& lane_word(int lane);
int own_lane();

template <class T>
T exchange(unsigned mask, T value, int source) {
  static_assert(sizeof(T) <= sizeof(uint64_t) && std::is_trivially_copyable_v<T>);
  std::memcpy(&lane_word(own_lane()), &value, sizeof value);
  warp_barrier(mask);
  T result;
  std::memcpy(&result, &lane_word(source), sizeof result);
  warp_barrier(mask);
  return result;
}

/** The tensor core's product of fragments, see cuda/tensor_core.h; every lane of a warp calls it. */
void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

}  // namespace emulation

#define threadIdx ::emulation::thread_index
#define blockIdx ::emulation::block_index
#define blockDim ::emulation::block_size
#define gridDim ::emulation::grid_size

inline void __syncthreads() { ::emulation::block_barrier(false); }
inline int __syncthreads_or(int vote) { return ::emulation::block_barrier(vote != 0); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { ::emulation::warp_barrier(mask); }
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
  return ::emulation::exchange(mask, value, ::emulation::own_lane() ^ lanes);
}

/** sum + Σ of the products of four int8 of a and b. */
inline int __dp4a(int a, int b, int sum) {
  for (int i = 0; i < 4; ++i) sum += static_cast<int8_t>(a >> (8 * i)) * static_cast<int8_t>(b >> (8 * i));
  return sum;
}

/** Threads run one after another. */
inline unsigned long long atomicMin(unsigned long long* at, unsigned long long value) {
  const unsigned long long before = *at;
  if (value < before) *at = value;
  return before;
}

using std::isfinite;

namespace forge::cuda {

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), int64_t blocks, int threads, int64_t shared_bytes,
            Arguments... arguments) {
  if (blocks > 0) emulation::run(name, blocks, threads, shared_bytes, [=] { kernel(arguments...); });
}

}  // namespace forge::cuda
