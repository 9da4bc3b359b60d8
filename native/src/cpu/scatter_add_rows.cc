#include "cpu/rows.h"

namespace forge::FORGE_ISA {

// Threads share out columns, so that every element of the table sees its rows in order of i.
void scatter_add_rows(float* table, const int32_t* index, const float* rows, int64_t count, int64_t width) {
  constexpr int64_t columns = 64;  // four cache lines: no two threads write the same line
  parallel_for(ceil_div(width, columns), [&](int64_t piece, int) {
    const int64_t begin = piece * columns, n = min64(columns, width - begin);
    for (int64_t i = 0; i < count; ++i) row_add(table + index[i] * width + begin, rows + i * width + begin, n);
  });
}

}  // namespace forge::FORGE_ISA
