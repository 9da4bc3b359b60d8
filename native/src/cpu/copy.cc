#include "core/kernels.h"
#include "cpu/simd.h"

namespace forge::FORGE_ISA {
namespace {

constexpr int64_t piece_bytes = 1 << 17;

template <class T>
void fill_as(void* y, int64_t n, const void* value) {
  T element;
  memcpy(&element, value, sizeof(T));
  for (int64_t i = 0; i < n; ++i) static_cast<T*>(y)[i] = element;
}

}  // namespace

void copy_runs(void* to, int64_t to_step, const void* from, int64_t from_step, int64_t bytes, int64_t rows) {
  if (bytes == 0 || rows == 0) return;
  const int64_t rows_per_piece = max64(1, piece_bytes / bytes);
  parallel_for(ceil_div(rows, rows_per_piece), [&](int64_t piece, int) {
    const int64_t end = min64(rows, (piece + 1) * rows_per_piece);
    for (int64_t row = piece * rows_per_piece; row < end; ++row) {
      memcpy(static_cast<char*>(to) + row * to_step, static_cast<const char*>(from) + row * from_step,
             static_cast<size_t>(bytes));
    }
  });
}

void fill(void* y, int64_t n, const void* value, int64_t size) {
  switch (size) {
    case 1: return fill_as<uint8_t>(y, n, value);
    case 2: return fill_as<uint16_t>(y, n, value);
    case 4: return fill_as<uint32_t>(y, n, value);
    default: return fill_as<uint64_t>(y, n, value);
  }
}

}  // namespace forge::FORGE_ISA
