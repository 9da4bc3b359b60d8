#include <cstring>

#include "cuda/launch.h"
#include "cuda/table.h"

namespace forge::cuda {
namespace {

/** Copies in units of T; sizes and steps in units. */
template <class T>
void runs(void* to, int64_t to_step, const void* from, int64_t from_step, int64_t length, int64_t rows) {
  auto* y = static_cast<T*>(to);
  const auto* x = static_cast<const T*>(from);
  if (rows == 1) return for_each("copy_runs", length, [=] __device__(int64_t i) { y[i] = x[i]; });
  for_each("copy_runs", rows * length, [=] __device__(int64_t i) {
    y[i / length * to_step + i % length] = x[i / length * from_step + i % length];
  });
}

template <class T>
void fill_as(void* y, int64_t n, const void* value) {
  T element;
  std::memcpy(&element, value, sizeof element);
  auto* to = static_cast<T*>(y);
  for_each("fill", n, [=] __device__(int64_t i) { to[i] = element; });
}

__global__ void probe() {}

}  // namespace

const void* probe_kernel() { return reinterpret_cast<const void*>(probe); }

void copy_runs(void* to, int64_t to_step, const void* from, int64_t from_step, int64_t bytes, int64_t rows) {
  if (bytes == 0 || rows == 0) return;
  const uint64_t all = reinterpret_cast<uint64_t>(to) | reinterpret_cast<uint64_t>(from) | static_cast<uint64_t>(bytes) |
                       (rows == 1 ? 0 : static_cast<uint64_t>(to_step) | static_cast<uint64_t>(from_step));
  if (all % 8 == 0) runs<uint64_t>(to, to_step / 8, from, from_step / 8, bytes / 8, rows);
  else if (all % 4 == 0) runs<uint32_t>(to, to_step / 4, from, from_step / 4, bytes / 4, rows);
  else runs<uint8_t>(to, to_step, from, from_step, bytes, rows);
}

void fill(void* y, int64_t n, const void* value, int64_t size) {
  switch (size) {
    case 1: return fill_as<uint8_t>(y, n, value);
    case 2: return fill_as<uint16_t>(y, n, value);
    case 4: return fill_as<uint32_t>(y, n, value);
    default: return fill_as<uint64_t>(y, n, value);
  }
}

}  // namespace forge::cuda
