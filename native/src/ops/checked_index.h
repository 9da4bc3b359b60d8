#pragma once
#include <cstdint>

#include "core/allocator.h"
#include "core/tensor.h"

namespace forge::ops {

/**
 * Indices that a kernel may follow. The processor checks them at once. A device is not waited for: it gets a copy with a
 * harmless index where one is out of range, and the next call that waits reports the first such index, with this op.
 */
class CheckedIndex {
 public:
  /** @param op  a literal; @param exception  allowed besides 0..limit−1, or no_exception */
  Status check(const char* op, const Tensor& index, int64_t limit, int64_t exception);
  const int32_t* i32() const { return index_; }

 private:
  Scratch copy_;
  const int32_t* index_ = nullptr;
};

}  // namespace forge::ops
