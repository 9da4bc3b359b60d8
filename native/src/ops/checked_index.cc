#include "ops/checked_index.h"

#include "core/backend.h"
#include "core/kernels.h"

namespace forge::ops {

Status CheckedIndex::check(const char* op, const Tensor& index, int64_t limit, int64_t exception) {
  const int64_t n = index.count();
  index_ = index.i32();
  if (!on_host() && limit > 0) {
    FORGE_TRY(copy_.reserve(op, index.bytes()));
    auto* safe = reinterpret_cast<int32_t*>(copy_.f32());
    kernels().check_index(op, index.i32(), n, limit, exception, safe);
    index_ = safe;
    return {};
  }
  const int64_t at = kernels().first_outside(index.i32(), n, limit, exception);
  if (at < 0) return {};
  int32_t value = 0;
  copy_out(&value, index.i32() + at, sizeof value);
  return index_failure({op, at, limit, exception, value});
}

}  // namespace forge::ops
