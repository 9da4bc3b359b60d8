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

__global__ void note_fault(const char* op, const int32_t* index, int64_t limit, int64_t exception, Faults* faults) {
  const unsigned long long at = faults->pending;
  if (at == no_position) return;
  faults->pending = no_position;
  if (faults->first.op != nullptr) return;
  faults->first = {op, static_cast<int64_t>(at), limit, exception, index[at]};
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

void check_index(const char* op, const int32_t* index, int64_t n, int64_t limit, int64_t exception, int32_t* safe) {
  if (n == 0) return;
  Faults* const noted = faults();
  const int32_t instead = exception == no_exception ? 0 : static_cast<int32_t>(exception);
  for_each("check_index", n, [=] __device__(int64_t i) {
    const int32_t value = index[i];
    const bool good = (value >= 0 && value < limit) || value == exception;
    safe[i] = good ? value : instead;
    if (!good) atomicMin(&noted->pending, static_cast<unsigned long long>(i));  // a minimum does not depend on timing
  });
  launch("check_index", note_fault, 1, 1, 0, op, index, limit, exception, noted);
}

}  // namespace forge::cuda
