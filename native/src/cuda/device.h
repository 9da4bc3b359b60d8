#pragma once
/** What kernels' host functions and gemm_library.cc need of the device; made by device.cc, or by the emulation. */
#if !defined(FORGE_CUDA_EMULATION)
#include <cuda_runtime_api.h>
#endif

#include <cstdint>

#include "core/backend.h"

namespace forge::cuda {

/** Of each queue of work, in device memory. */
struct Faults {
  /** What Backend::take_fault gives; once there is one, it stays, and AdamW changes nothing. */
  IndexFault first;
  /** The lowest bad position of the check that runs; none between checks. */
  unsigned long long pending;
};
constexpr unsigned long long no_position = ~0ull;

/** Those of the calling thread. */
Faults* faults();

/** Bytes of `workspace`. */
constexpr int64_t workspace_bytes = int64_t{8} << 20;

/** Working memory of the calling thread, for one kernel call: the next one on this thread overwrites it. */
void* workspace();

/** Device memory to host memory, after all work of this thread; fails while that is captured. */
void read_back(void* to, const void* from, int64_t bytes);

#if !defined(FORGE_CUDA_EMULATION)
/** The queue of work of the calling thread. */
cudaStream_t stream();

/** Working memory of the calling thread for a library of products; what the makers of cuBLAS advise for 9.0. */
constexpr int64_t gemm_scratch_memory_bytes = int64_t{32} << 20;
void* gemm_scratch_memory();

/** Whether the calling thread has a failure that was not reported yet: work after it is left undone. */
bool has_failed();

/** Remembers the first failure of the calling thread. */
void note(cudaError_t error, const char* what);
#endif

}  // namespace forge::cuda
