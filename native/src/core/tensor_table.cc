#include "core/tensor_table.h"

namespace forge {
namespace {

std::atomic<uint64_t> next_table{0};

}  // namespace

std::atomic<int64_t> TensorTable::live_{0};

TensorTable::TensorTable() : id_(next_table.fetch_add(1) % ((1u << table_bits) - 1) + 1) {}

TensorTable::~TensorTable() {
  live_.fetch_sub(static_cast<int64_t>(slots_.size() - free_.size()));
}

Status TensorTable::insert(Tensor tensor, Handle& handle) {
  uint32_t slot;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else {
    if (slots_.size() > slot_mask) return failure(Code::oom, "out of memory: 2^22 tensors are live on this thread");
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
    free_.reserve(slots_.size());  // so that erase never allocates
  }
  Slot& entry = slots_[slot];
  entry.tensor = std::move(tensor);
  entry.live = true;
  live_.fetch_add(1, std::memory_order_relaxed);
  handle = id_ << (slot_bits + generation_bits) | uint64_t{entry.generation} << slot_bits | slot;
  return {};
}

int64_t TensorTable::locate(double handle) const {
  constexpr double limit = 9007199254740992.0;  // 2^53
  if (!(handle >= 1 && handle < limit)) return -1;
  const uint64_t bits = static_cast<uint64_t>(handle);
  const uint64_t slot = bits & slot_mask;
  if (static_cast<double>(bits) != handle || bits >> (slot_bits + generation_bits) != id_ || slot >= slots_.size()) {
    return -1;
  }
  const Slot& entry = slots_[slot];
  return entry.live && entry.generation == ((bits >> slot_bits) & generation_mask) ? static_cast<int64_t>(slot) : -1;
}

const Tensor* TensorTable::find(double handle) const {
  const int64_t slot = locate(handle);
  return slot < 0 ? nullptr : &slots_[static_cast<size_t>(slot)].tensor;
}

bool TensorTable::erase(double handle) {
  const int64_t slot = locate(handle);
  if (slot < 0) return false;
  Slot& entry = slots_[static_cast<size_t>(slot)];
  entry.tensor = Tensor();
  entry.live = false;
  entry.generation = entry.generation == generation_mask ? 1 : entry.generation + 1;
  free_.push_back(static_cast<uint32_t>(slot));
  live_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

int64_t TensorTable::live_tensors() { return live_.load(); }

}  // namespace forge
