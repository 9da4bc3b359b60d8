#pragma once
#include <cstring>

#include "core/backend.h"
#include "core/kernels.h"
#include "core/tensor.h"

namespace forge::ops {

/** The key of a stream; `base`, i32[2] or null, holds a number of blocks, low word first, that is added to the counter. */
inline Status make_key(const char* op, uint32_t seed_lo, uint32_t seed_hi, uint32_t counter_lo, uint32_t counter_hi,
                       const Tensor* base, Philox& key) {
  key = {seed_lo, seed_hi, uint64_t{counter_hi} << 32 | counter_lo};
  if (base == nullptr) return {};
  FORGE_TRY(expect_dtype(op, "base", *base, DType::i32));
  if (base->count() != 2 || reinterpret_cast<uintptr_t>(base->data()) % sizeof(uint64_t) != 0) {
    return failure(Code::shape, "%s: base %s, needs [2] at the start of a buffer", op, base->shape().text().c_str());
  }
  if (!on_host()) {
    key.base = static_cast<const uint64_t*>(base->data());
  } else {
    uint64_t blocks;
    std::memcpy(&blocks, base->data(), sizeof blocks);
    key.counter += blocks;
  }
  return {};
}

}  // namespace forge::ops
