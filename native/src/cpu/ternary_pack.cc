#include "cpu/ternary.h"

namespace forge::FORGE_ISA {
namespace {

/** f(row, column, byte, shift) for the codes of one panel that lie inside the matrix. */
template <class F>
void for_each_code(int64_t panel, int64_t rows, int64_t columns, const F& f) {
  const int64_t chunks = ternary_chunks(columns), end = min64(ternary_panel, rows - panel * ternary_panel);
  for (int64_t r = 0; r < end; ++r) {
    const int64_t row = panel * ternary_panel + r;
    for (int64_t column = 0; column < columns; ++column) {
      const int64_t within = column % ternary_chunk;
      const int64_t byte = (panel * chunks + column / ternary_chunk) * ternary_chunk_bytes + 4 * r + within % 4;
      f(row * columns + column, byte, static_cast<int>(within / 4 * 2));
    }
  }
}

}  // namespace

int64_t first_bad_code(const uint8_t* codes, int64_t n, bool packed) {
  for (int64_t i = 0; i < n; ++i) {
    const int code = codes[i];
    if (packed ? (code & code >> 1 & 0x55) != 0 : code != 0 && code != 1 && code != 0xff) return i;
  }
  return -1;
}

void pad_codes(const int8_t* codes, int8_t* to, int64_t stride, int32_t* sums, int64_t rows, int64_t width) {
  parallel_ranges(rows, max64(1, grain / max64(1, width)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int32_t total = 0;
      for (int64_t i = 0; i < width; ++i) total += to[row * stride + i] = codes[row * width + i];
      memset(to + row * stride + width, 0, static_cast<size_t>(stride - width));
      sums[row] = total;
    }
  });
}

void ternary_pack(const int8_t* codes, uint8_t* packed, int64_t rows, int64_t columns) {
  const int64_t panel_bytes = ternary_chunks(columns) * ternary_chunk_bytes;
  parallel_for(ternary_panels(rows), [&](int64_t panel, int) {
    constexpr int zeros = 0x55;  // code 1 four times
    memset(packed + panel * panel_bytes, zeros, static_cast<size_t>(panel_bytes));
    for_each_code(panel, rows, columns, [&](int64_t at, int64_t byte, int shift) {
      packed[byte] = static_cast<uint8_t>(packed[byte] + codes[at] * (1 << shift));
    });
  });
}

void ternary_unpack(const uint8_t* packed, int8_t* codes, int64_t rows, int64_t columns) {
  parallel_for(ternary_panels(rows), [&](int64_t panel, int) {
    for_each_code(panel, rows, columns, [&](int64_t at, int64_t byte, int shift) {
      codes[at] = static_cast<int8_t>((packed[byte] >> shift & 3) - 1);
    });
  });
}

}  // namespace forge::FORGE_ISA
