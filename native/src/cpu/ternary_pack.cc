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
