#include "core/kernels.h"
#include "cpu/simd.h"

namespace forge::FORGE_ISA {
namespace {

template <class T>
void walk(const Permutation& p, const T* x, T* y) {
  const int64_t inner = p.lengths[5], inner_stride = p.strides[5];
  const int64_t rows_outer = p.lengths[0] * p.lengths[1] * p.lengths[2], rows_inner = p.lengths[3] * p.lengths[4];
  parallel_for(rows_outer, [&](int64_t outer, int) {
    const int64_t i2 = outer % p.lengths[2], i1 = outer / p.lengths[2] % p.lengths[1],
                  i0 = outer / p.lengths[2] / p.lengths[1];
    const T* base = x + i0 * p.strides[0] + i1 * p.strides[1] + i2 * p.strides[2];
    T* to = y + outer * rows_inner * inner;
    for (int64_t i3 = 0; i3 < p.lengths[3]; ++i3) {
      for (int64_t i4 = 0; i4 < p.lengths[4]; ++i4, to += inner) {
        const T* from = base + i3 * p.strides[3] + i4 * p.strides[4];
        if (inner_stride == 1) {
          memcpy(to, from, static_cast<size_t>(inner) * sizeof(T));
        } else {
          for (int64_t i = 0; i < inner; ++i) to[i] = from[i * inner_stride];
        }
      }
    }
  });
}

}  // namespace

void permute(const Permutation& order, const void* x, void* y, int64_t size) {
  switch (size) {
    case 1: return walk(order, static_cast<const uint8_t*>(x), static_cast<uint8_t*>(y));
    case 2: return walk(order, static_cast<const uint16_t*>(x), static_cast<uint16_t*>(y));
    case 4: return walk(order, static_cast<const uint32_t*>(x), static_cast<uint32_t*>(y));
    default: return walk(order, static_cast<const uint64_t*>(x), static_cast<uint64_t*>(y));
  }
}

}  // namespace forge::FORGE_ISA
