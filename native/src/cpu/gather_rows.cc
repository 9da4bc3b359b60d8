#include "core/kernels.h"
#include "cpu/simd.h"

namespace forge::FORGE_ISA {

void gather_rows(const void* x, const int32_t* index, void* y, int64_t count, int64_t bytes) {
  if (bytes == 0) return;
  const int64_t piece = max64(1, (1 << 17) / bytes);
  parallel_for(ceil_div(count, piece), [&](int64_t p, int) {
    for (int64_t i = p * piece; i < min64(count, (p + 1) * piece); ++i) {
      memcpy(static_cast<char*>(y) + i * bytes, static_cast<const char*>(x) + index[i] * bytes,
             static_cast<size_t>(bytes));
    }
  });
}

int64_t first_outside(const int32_t* index, int64_t n, int64_t limit, int64_t exception) {
  for (int64_t i = 0; i < n; ++i) {
    if ((index[i] < 0 || index[i] >= limit) && index[i] != exception) return i;
  }
  return -1;
}

}  // namespace forge::FORGE_ISA
