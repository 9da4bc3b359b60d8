#pragma once
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/backend.h"
#include "core/status.h"

namespace forge {

struct MemoryStats {
  int64_t live_bytes;
  int64_t cached_bytes;
  int64_t peak_bytes;
  int64_t max_bytes;
};

/**
 * Caching allocator of a device: freed blocks are kept by size class (eight classes per power of
 * two) and handed out again. Blocks are 64-byte aligned; in host memory, from 2 MiB on, aligned to and advised as
 * huge pages. live + cached never exceeds the limit: the cache is emptied first, then allocation fails.
 * On a device that works in queues a block returns to the queue that freed it, whose work is in order: nobody waits.
 * Thread-safe.
 */
class Allocator {
 public:
  /** The allocator of the device in use. */
  static Allocator& instance();
  /** Makes a device's allocator the one in use. */
  static void use(const Backend& backend);

  /** @param bytes asked for, ≥ 0; @param block, capacity  what was given; capacity goes back to release(). */
  Status allocate(const char* op, int64_t bytes, void*& block, int64_t& capacity);
  void release(void* block, int64_t capacity);

  /**
   * Starts a pool: until seal_pool() the calling thread's blocks come from it. What came from a pool goes back to it, also
   * later and from elsewhere, so that its addresses belong to whoever recorded them. Counts as live until close_pool().
   */
  int64_t open_pool();
  void seal_pool();
  /** Ends a pool, on the thread that opened it: free blocks go to the cache, those in use once they are freed. */
  void close_pool(int64_t pool);
  /** Whether a block belongs to a pool. */
  bool is_pooled(void* block) const;

  MemoryStats stats() const;
  void reset_peak();
  void empty_cache();
  void set_limit(int64_t max_bytes);

  /** Bytes really taken for a request of `bytes`. */
  static int64_t size_class(int64_t bytes);

 private:
  explicit Allocator(const Backend& backend);
  static Allocator& of(const Backend& backend);
  int64_t bin_of(int64_t capacity) const;
  void* take_block(int64_t capacity);
  void empty_cache_locked();

  using Bins = std::unordered_map<int64_t, std::vector<void*>>;
  void* take_free(Bins& bins, int64_t bin);

  const Backend& backend_;
  mutable std::mutex mutex_;
  /** Free blocks by queue and capacity, see bin_of. */
  Bins cache_;
  /** Free blocks of each pool by capacity, and to which pool a block belongs. */
  std::unordered_map<int64_t, Bins> pools_;
  std::unordered_map<void*, int64_t> pool_of_;
  int64_t last_pool_ = 0;
  /** Pools that are open: the device must not be waited for, so nothing is given back to it. */
  int64_t open_pools_ = 0;
  int64_t live_ = 0;
  int64_t cached_ = 0;
  int64_t peak_ = 0;
  int64_t limit_;
};

/** 90 % of the memory of the machine or of the control group, whichever is less. */
int64_t default_memory_limit();

/** Working memory of one op, returned to the cache at the end of the scope. */
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();
  Status reserve(const char* op, int64_t bytes);
  float* f32() const { return static_cast<float*>(block_); }

 private:
  Allocator* home_ = nullptr;
  void* block_ = nullptr;
  int64_t capacity_ = 0;
};

}  // namespace forge
