#include "core/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>

#ifdef FORGE_FUZZ  // built by clang with AddressSanitizer
#include <sanitizer/asan_interface.h>
#endif

namespace forge {
namespace {

/**
 * While fuzzing, of a host block only the bytes asked for may be touched: neither what rounding adds, nor
 * anything of a block that waits for reuse. Nothing otherwise.
 */
void expose([[maybe_unused]] const Backend& backend, [[maybe_unused]] void* block, [[maybe_unused]] int64_t bytes,
            [[maybe_unused]] int64_t capacity) {
#ifdef FORGE_FUZZ
  if (backend.allocate != nullptr) return;
  __asan_unpoison_memory_region(block, static_cast<size_t>(bytes));
  __asan_poison_memory_region(static_cast<char*>(block) + bytes, static_cast<size_t>(capacity - bytes));
#endif
}

constexpr int64_t alignment = 64;  // one cache line, one AVX-512 vector
constexpr int64_t huge_page = int64_t{2} << 20;

void* system_allocate(int64_t capacity) {
  const bool huge = capacity >= huge_page;
  void* block = nullptr;
  if (posix_memalign(&block, huge ? huge_page : alignment, static_cast<size_t>(capacity)) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
  // What is left over at the end stays on small pages: a whole huge page for it would be mostly waste.
  if (huge) madvise(block, static_cast<size_t>(capacity / huge_page * huge_page), MADV_HUGEPAGE);
#endif
  return block;
}

std::atomic<Allocator*> in_use{nullptr};

/** The open pool of the calling thread. */
struct OpenPool {
  const Allocator* home = nullptr;
  int64_t number = 0;
};
thread_local OpenPool open;

/** A byte count in a one-number file, or max. */
int64_t read_limit_file(const char* path) {
  std::FILE* file = std::fopen(path, "r");
  if (file == nullptr) return INT64_MAX;
  long long value = 0;
  const int fields = std::fscanf(file, "%lld", &value);
  std::fclose(file);
  return fields == 1 && value > 0 ? value : INT64_MAX;
}

}  // namespace

int64_t default_memory_limit() {
  const int64_t physical = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  const int64_t group = std::min(read_limit_file("/sys/fs/cgroup/memory.max"),
                                 read_limit_file("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  return std::min(physical, group) / 10 * 9;
}

Allocator::Allocator(const Backend& backend) : backend_(backend), limit_(backend.memory_limit()) {}

Allocator& Allocator::of(const Backend& backend) {
  static std::mutex mutex;
  // Never destroyed: threads may outlive static destructors.
  static auto* all = new std::unordered_map<const Backend*, Allocator*>();
  const std::lock_guard lock(mutex);
  Allocator*& allocator = (*all)[&backend];
  if (allocator == nullptr) allocator = new Allocator(backend);
  return *allocator;
}

Allocator& Allocator::instance() {
  if (detail::on_processor) return of(cpu_backend());
  Allocator* allocator = in_use.load(std::memory_order_acquire);
  if (allocator != nullptr) return *allocator;
  use(backend());
  return *in_use.load(std::memory_order_acquire);
}

void Allocator::use(const Backend& backend) { in_use.store(&of(backend), std::memory_order_release); }

int64_t Allocator::size_class(int64_t bytes) {
  if (bytes <= 512) return bytes <= alignment ? alignment : (bytes + alignment - 1) / alignment * alignment;
  int64_t power = 512;
  while (power * 2 < bytes) power *= 2;
  const int64_t step = power / 8;
  return (bytes + step - 1) / step * step;
}

int64_t Allocator::bin_of(int64_t capacity) const {
  constexpr int capacity_bits = 48;  // tensors end at 2^46 bytes
  return backend_.queue == nullptr ? capacity : backend_.queue() << capacity_bits | capacity;
}

void* Allocator::take_block(int64_t capacity) {
  if (backend_.allocate == nullptr) return system_allocate(capacity);
  void* block = backend_.allocate(capacity);
  if (block != nullptr || cached_ == 0) return block;
  empty_cache_locked();  // others use the device too: it can be full below our limit
  return backend_.allocate(capacity);
}

void* Allocator::take_free(Bins& bins, int64_t bin) {
  const auto found = bins.find(bin);
  if (found == bins.end() || found->second.empty()) return nullptr;
  void* const block = found->second.back();
  found->second.pop_back();
  return block;
}

Status Allocator::allocate(const char* op, int64_t bytes, void*& block, int64_t& capacity) {
  capacity = size_class(bytes);
  const std::lock_guard lock(mutex_);
  const bool is_pooled = open.home == this;
  block = is_pooled ? take_free(pools_[open.number], capacity) : nullptr;
  if (block != nullptr) return {};  // live since the pool got it
  block = take_free(cache_, bin_of(capacity));
  if (block != nullptr) {
    cached_ -= capacity;
  } else {
    if (live_ + cached_ + capacity > limit_) empty_cache_locked();
    block = live_ + cached_ + capacity > limit_ ? nullptr : take_block(capacity);
    if (block == nullptr) {
      return failure(Code::oom, "%s: out of memory: %lld bytes asked for, %lld live, %lld cached, limit %lld (%s)", op,
                     static_cast<long long>(bytes), static_cast<long long>(live_), static_cast<long long>(cached_),
                     static_cast<long long>(limit_), backend_.device);
    }
  }
  expose(backend_, block, bytes, capacity);
  if (is_pooled) pool_of_[block] = open.number;
  live_ += capacity;
  peak_ = std::max(peak_, live_);
  return {};
}

void Allocator::release(void* block, int64_t capacity) {
  if (block == nullptr) return;
  const std::lock_guard lock(mutex_);
  if (const auto owner = pool_of_.find(block); owner != pool_of_.end()) {
    pools_[owner->second][capacity].push_back(block);
    return;
  }
  expose(backend_, block, 0, capacity);
  live_ -= capacity;
  cached_ += capacity;
  cache_[bin_of(capacity)].push_back(block);
}

int64_t Allocator::open_pool() {
  const std::lock_guard lock(mutex_);
  open = {this, ++last_pool_};
  pools_[last_pool_];
  ++open_pools_;
  return last_pool_;
}

void Allocator::seal_pool() {
  const std::lock_guard lock(mutex_);
  open = {};
  --open_pools_;
}

void Allocator::close_pool(int64_t pool) {
  const std::lock_guard lock(mutex_);
  for (auto& [capacity, blocks] : pools_[pool]) {
    const auto bytes = capacity * static_cast<int64_t>(blocks.size());
    live_ -= bytes;
    cached_ += bytes;
    std::vector<void*>& bin = cache_[bin_of(capacity)];
    bin.insert(bin.end(), blocks.begin(), blocks.end());
  }
  pools_.erase(pool);
  std::erase_if(pool_of_, [pool](const auto& entry) { return entry.second == pool; });
}

bool Allocator::is_pooled(void* block) const {
  const std::lock_guard lock(mutex_);
  return pool_of_.count(block) != 0;
}

MemoryStats Allocator::stats() const {
  const std::lock_guard lock(mutex_);
  return {live_, cached_, peak_, limit_};
}

void Allocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  peak_ = live_;
}

void Allocator::empty_cache() {
  const std::lock_guard lock(mutex_);
  empty_cache_locked();
}

void Allocator::empty_cache_locked() {
  if (open_pools_ > 0) return;
  for (auto& [bin, blocks] : cache_) {
    for (void* block : blocks) {
      if (backend_.release == nullptr) std::free(block);
      else backend_.release(block);
    }
  }
  cache_.clear();
  cached_ = 0;
}

void Allocator::set_limit(int64_t max_bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = max_bytes;
}

Scratch::~Scratch() {
  if (block_ != nullptr) home_->release(block_, capacity_);
}

Status Scratch::reserve(const char* op, int64_t bytes) {
  home_ = &Allocator::instance();
  return home_->allocate(op, bytes, block_, capacity_);
}

}  // namespace forge
