#include "cuda/first.h"
#include "cuda/table.h"

namespace forge::cuda {
namespace {

template <class T>
void gather(const void* from, const int32_t* index, void* to, int64_t count, int64_t width) {
  const auto* x = static_cast<const T*>(from);
  auto* y = static_cast<T*>(to);
  for_each("gather_rows", count * width, [=] __device__(int64_t i) { y[i] = x[index[i / width] * width + i % width]; });
}

}  // namespace

void gather_rows(const void* x, const int32_t* index, void* y, int64_t count, int64_t bytes) {
  const uint64_t all = reinterpret_cast<uint64_t>(x) | reinterpret_cast<uint64_t>(y) | static_cast<uint64_t>(bytes);
  if (bytes == 0) return;
  if (all % 8 == 0) gather<uint64_t>(x, index, y, count, bytes / 8);
  else if (all % 4 == 0) gather<uint32_t>(x, index, y, count, bytes / 4);
  else gather<uint8_t>(x, index, y, count, bytes);
}

int64_t first_outside(const int32_t* index, int64_t n, int64_t limit, int64_t exception) {
  return first_where("first_outside", n, [=] __device__(int64_t i) {
    return (index[i] < 0 || index[i] >= limit) && index[i] != exception;
  });
}

}  // namespace forge::cuda
