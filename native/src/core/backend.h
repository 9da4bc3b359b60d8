#pragma once
#include <atomic>
#include <cstdint>

#include "core/kernels.h"
#include "core/status.h"

namespace forge {

/** What a device is, for people; empty texts where there is nothing to say. */
struct DeviceDescription {
  char name[256];
  char driver[32];
  char compute_capability[16];
  /** Where dense products come from. */
  char blas[192];
};

/** An index out of range that a device met. */
struct IndexFault {
  /** Null: there is none. */
  const char* op;
  int64_t position, limit, exception;
  int32_t value;
};

/**
 * A device: memory, transfers, and kernels that work on that memory. Plain functions, so that it can come from a
 * shared library. The members from `allocate` on are null for the processor, whose memory is the host's.
 * Work runs in order per thread; a failure is remembered for the thread and given by take_error.
 */
struct Backend {
  const char* device;
  /** Null for the processor: its table follows the instruction set. */
  const Kernels* kernels;
  /** Bytes that tensors may take, from what is free now. */
  int64_t (*memory_limit)();
  /** Null when the device has no room. */
  void* (*allocate)(int64_t bytes);
  /** Waits for all work first. */
  void (*release)(void* block);
  /** Number of the calling thread's queue of work: a block freed there may be reused there without waiting. */
  int64_t (*queue)();
  /** Returns when `from` may be changed. */
  void (*copy_in)(void* to, const void* from, int64_t bytes);
  /** Returns when `to` is complete. */
  void (*copy_out)(void* to, const void* from, int64_t bytes);
  /** The first failure of the calling thread since the last call, or null; valid until its next call. */
  const char* (*take_error)();
  void (*describe)(DeviceDescription* description);
  /** The first index out of range among the calling thread's work that copy_out waited for; false when there is none. */
  bool (*take_fault)(IndexFault* fault);
  /**
   * Records what the calling thread launches from now on instead of running it; what would wait for it, or move elements
   * to or from the host, fails. Memory may be allocated, but not released. Null for a device that cannot.
   */
  void (*begin_capture)();
  /** The recorded work; null, and a failure for take_error, when there is none. */
  void* (*end_capture)();
  /** Runs recorded work, on the thread that recorded it. */
  void (*replay)(void* work);
  void (*forget)(void* work);
};

/** The processor: always there, complete. */
const Backend& cpu_backend();
namespace detail {
extern std::atomic<const Backend*> selected_backend;
extern constinit thread_local bool on_processor;
}

/** The device of this process; the processor within OnProcessor. */
inline const Backend& backend() {
  return detail::on_processor ? cpu_backend() : *detail::selected_backend.load(std::memory_order_relaxed);
}
/** Changes it; tensors of the one before must not reach an op. Programs choose once, tests switch. */
void select_backend(const Backend& chosen);

/** While it lives, ops of the calling thread compute on the processor and make tensors in host memory. */
class OnProcessor {
 public:
  OnProcessor() : before_(detail::on_processor) { detail::on_processor = true; }
  OnProcessor(const OnProcessor&) = delete;
  OnProcessor& operator=(const OnProcessor&) = delete;
  ~OnProcessor() { detail::on_processor = before_; }

 private:
  bool before_;
};

/** Whether tensors are in memory that the processor can read. */
inline bool on_host() { return backend().allocate == nullptr; }

/** Host memory to a tensor's memory; `from` may be changed afterwards. */
void copy_in(void* to, const void* from, int64_t bytes);
/** A tensor's memory to host memory; waits for the work that makes it. */
void copy_out(void* to, const void* from, int64_t bytes);

/**
 * INTERNAL when work of this thread on the device failed since the last call; UNSUPPORTED while it is captured; ARGUMENT for an
 * index out of range, with the op that was given it.
 * @param op  what was called, for messages
 */
Status backend_status(const char* op = "device");

/** ARGUMENT: an index, or with an exception a target, out of range. */
Status index_failure(const IndexFault& fault);

}  // namespace forge
