#include "core/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace forge {
namespace {

constexpr int64_t alignment = 64;  // one cache line, one AVX-512 vector
constexpr int64_t huge_page = int64_t{2} << 20;

void* system_allocate(int64_t capacity) {
  const bool huge = capacity >= huge_page;
  void* block = std::aligned_alloc(huge ? huge_page : alignment, static_cast<size_t>(capacity));
#ifdef MADV_HUGEPAGE
  if (block != nullptr && huge) madvise(block, static_cast<size_t>(capacity), MADV_HUGEPAGE);
#endif
  return block;
}

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

Allocator::Allocator() : limit_(default_memory_limit()) {}

Allocator& Allocator::instance() {
  static Allocator* allocator = new Allocator();  // never destroyed: threads may outlive static destructors
  return *allocator;
}

int64_t Allocator::size_class(int64_t bytes) {
  if (bytes <= 512) return bytes <= alignment ? alignment : (bytes + alignment - 1) / alignment * alignment;
  int64_t power = 512;
  while (power * 2 < bytes) power *= 2;
  int64_t step = power / 8;
  if (power >= huge_page && step < huge_page) step = huge_page;  // aligned_alloc wants whole multiples
  const int64_t rounded = (bytes + step - 1) / step * step;
  return rounded >= huge_page ? (rounded + huge_page - 1) / huge_page * huge_page : rounded;
}

Status Allocator::allocate(const char* op, int64_t bytes, void*& block, int64_t& capacity) {
  capacity = size_class(bytes);
  const std::lock_guard lock(mutex_);
  if (const auto bin = cache_.find(capacity); bin != cache_.end() && !bin->second.empty()) {
    block = bin->second.back();
    bin->second.pop_back();
    cached_ -= capacity;
  } else {
    if (live_ + cached_ + capacity > limit_) empty_cache_locked();
    block = live_ + capacity > limit_ ? nullptr : system_allocate(capacity);
    if (block == nullptr) {
      return failure(Code::oom, "%s: out of memory: %lld bytes asked for, %lld live, %lld cached, limit %lld", op,
                     static_cast<long long>(bytes), static_cast<long long>(live_), static_cast<long long>(cached_),
                     static_cast<long long>(limit_));
    }
  }
  live_ += capacity;
  peak_ = std::max(peak_, live_);
  return {};
}

void Allocator::release(void* block, int64_t capacity) {
  if (block == nullptr) return;
  const std::lock_guard lock(mutex_);
  live_ -= capacity;
  cached_ += capacity;
  cache_[capacity].push_back(block);
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
  for (auto& [capacity, blocks] : cache_) {
    for (void* block : blocks) std::free(block);
  }
  cache_.clear();
  cached_ = 0;
}

void Allocator::set_limit(int64_t max_bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = max_bytes;
}

Scratch::~Scratch() { Allocator::instance().release(block_, capacity_); }

Status Scratch::reserve(const char* op, int64_t bytes) {
  return Allocator::instance().allocate(op, bytes, block_, capacity_);
}

}  // namespace forge
