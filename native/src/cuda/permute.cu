#include "cuda/launch.h"
#include "cuda/table.h"

namespace forge::cuda {
namespace {

template <class T>
void walk(const Permutation& order, const void* from, void* to) {
  const Permutation p = order;
  int64_t n = 1;
  for (const int64_t length : p.lengths) n *= length;
  const auto* x = static_cast<const T*>(from);
  auto* y = static_cast<T*>(to);
  for_each("permute", n, [=] __device__(int64_t i) {
    int64_t rest = i, at = 0;
    for (int axis = Permutation::rank - 1; axis >= 0; --axis) {
      at += rest % p.lengths[axis] * p.strides[axis];
      rest /= p.lengths[axis];
    }
    y[i] = x[at];
  });
}

}  // namespace

void permute(const Permutation& order, const void* x, void* y, int64_t size) {
  switch (size) {
    case 1: return walk<uint8_t>(order, x, y);
    case 2: return walk<uint16_t>(order, x, y);
    case 4: return walk<uint32_t>(order, x, y);
    default: return walk<uint64_t>(order, x, y);
  }
}

}  // namespace forge::cuda
