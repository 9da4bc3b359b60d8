#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace forge {

/** A tensor's name in JavaScript: table (9 bits), generation (22), slot (22); exact in a double. 0 is never one. */
using Handle = uint64_t;

/**
 * The tensors of one JavaScript thread. A handle carries the number of its table and the generation of its
 * slot, so that freed handles and handles of other threads are refused.
 */
class TensorTable {
 public:
  TensorTable();
  TensorTable(const TensorTable&) = delete;
  TensorTable& operator=(const TensorTable&) = delete;
  ~TensorTable();

  /** Takes the tensor in; OOM when 2^22 tensors are live. */
  Status insert(Tensor tensor, Handle& handle);
  /** The tensor, or null when the handle is not live here; valid until the next insert. */
  const Tensor* find(double handle) const;
  bool erase(double handle);

  /** Live tensors of all tables of the process. */
  static int64_t live_tensors();

 private:
  struct Slot {
    Tensor tensor;
    uint32_t generation = 1;
    bool live = false;
  };
  static constexpr int slot_bits = 22, generation_bits = 22, table_bits = 9;
  static constexpr uint64_t slot_mask = (uint64_t{1} << slot_bits) - 1;
  static constexpr uint32_t generation_mask = (uint32_t{1} << generation_bits) - 1;

  /** Index of the slot of a live handle, or −1. */
  int64_t locate(double handle) const;

  static std::atomic<int64_t> live_;
  const uint64_t id_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
};

}  // namespace forge
