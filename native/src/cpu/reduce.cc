#include "core/kernels.h"
#include "cpu/rows.h"

namespace forge::FORGE_ISA {
namespace {

// Elements per partial sum: fixed, so that a total does not depend on the number of threads.
constexpr int64_t block = 4096;

/** Σ of a long row: vector sums of fixed blocks, added in f64 in order. */
double long_sum(const float* x, int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n; i += block) total += row_sum(x + i, min64(block, n - i));
  return total;
}

/** f over fixed blocks of 0..n in parallel; the results added in order. */
template <class F>
double ordered_sum(int64_t n, const F& f) {
  constexpr int64_t span = 64 * block;  // one slot per span keeps the slots on the stack up to 2^28 elements
  constexpr int64_t slots = 1024;
  double total = 0;
  for (int64_t base = 0; base < n; base += slots * span) {
    const int64_t here = min64(slots * span, n - base);
    double partial[slots];
    parallel_for(ceil_div(here, span), [&](int64_t slot, int) {
      const int64_t begin = base + slot * span, end = min64(base + here, begin + span);
      double sum = 0;
      for (int64_t i = begin; i < end; i += block) sum += f(i, min64(block, end - i));
      partial[slot] = sum;
    });
    for (int64_t slot = 0; slot < ceil_div(here, span); ++slot) total += partial[slot];
  }
  return total;
}

/** Columns begin..end of y = Σ or max over rows of x[rows, width]: blocks of 64 rows, then blocks in order. */
void reduce_columns(bool maximum, const float* x, float* y, int64_t rows, int64_t width, int64_t begin, int64_t end) {
  for (int64_t column = begin; column < end; column += lanes) {
    const int64_t n = min64(lanes, end - column);
    vf total = splat(maximum ? -__builtin_inff() : 0.0f);
    for (int64_t first = 0; first < rows; first += 64) {
      vf part = splat(maximum ? -__builtin_inff() : 0.0f);
      for (int64_t row = first; row < min64(rows, first + 64); ++row) {
        const float* p = x + row * width + column;
        const vf v = n == lanes ? load(p) : load_n(p, n);
        if (maximum) {
          part = v != v ? v : (part >= v ? part : (part != part ? part : v));
        } else {
          part += v;
        }
      }
      if (maximum) {
        total = part != part ? part : (total >= part ? total : (total != total ? total : part));
      } else {
        total += part;
      }
    }
    store_n(y + column, total, n);
  }
}

}  // namespace

void reduce(Reduction op, const float* x, float* y, int64_t outer, int64_t axis, int64_t inner) {
  const bool maximum = op == Reduction::max;
  if (inner == 1 && outer == 1 && !maximum) {
    y[0] = static_cast<float>(ordered_sum(axis, [&](int64_t i, int64_t n) { return double{row_sum(x + i, n)}; }));
  } else if (inner == 1) {
    parallel_rows(outer, axis, [&](int64_t row) {
      const float* xr = x + row * axis;
      y[row] = maximum ? row_max(xr, axis) : static_cast<float>(long_sum(xr, axis));
    });
  } else {
    const int64_t columns_per_piece = max64(lanes, grain / max64(1, axis) / lanes * lanes);
    const int64_t pieces = ceil_div(inner, columns_per_piece);
    parallel_for(outer * pieces, [&](int64_t i, int) {
      const int64_t o = i / pieces, begin = i % pieces * columns_per_piece;
      reduce_columns(maximum, x + o * axis * inner, y + o * inner, axis, inner, begin,
                     min64(inner, begin + columns_per_piece));
    });
  }
  if (op == Reduction::mean) {
    const vf count = splat(static_cast<float>(axis));
    map(outer * inner, [&](auto get, auto put) { put(y, get(y) / count); });
  }
}

void argmax(const float* x, int32_t* y, int64_t rows, int64_t n) {
  parallel_rows(rows, n, [&](int64_t row) {
    const float* xr = x + row * n;
    int64_t best = 0;
    for (int64_t i = 1; i < n && xr[best] == xr[best]; ++i) {
      if (xr[i] > xr[best] || xr[i] != xr[i]) best = i;
    }
    y[row] = static_cast<int32_t>(best);
  });
}

double dot(const float* a, const float* b, int64_t n) {
  return ordered_sum(n, [&](int64_t first, int64_t count) {
    double s[8] = {};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
      for (int j = 0; j < 8; ++j) s[j] += double{a[first + i + j]} * double{b[first + i + j]};
    }
    for (; i < count; ++i) s[0] += double{a[first + i]} * double{b[first + i]};
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
  });
}

double abs_sum(const float* x, int64_t n) {
  return ordered_sum(n, [&](int64_t first, int64_t count) {
    double s[8] = {};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
      for (int j = 0; j < 8; ++j) s[j] += double{__builtin_fabsf(x[first + i + j])};
    }
    for (; i < count; ++i) s[0] += double{__builtin_fabsf(x[first + i])};
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
  });
}

double sum_squares(const float* const* xs, const int64_t* n, int64_t count) {
  double total = 0;
  for (int64_t i = 0; i < count; ++i) total += dot(xs[i], xs[i], n[i]);
  return total;
}

static bool all_finite(const float* x, int64_t n) {
  return ordered_sum(n, [&](int64_t first, int64_t count) {
           int32_t bad = 0;
           for (int64_t i = first; i < first + count; ++i) {
             int32_t bits;
             memcpy(&bits, x + i, 4);
             bad += (bits & 0x7f800000) == 0x7f800000;
           }
           return double{static_cast<float>(bad)};
         }) == 0.0;
}

bool is_finite(const float* const* xs, const int64_t* n, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (!all_finite(xs[i], n[i])) return false;
  }
  return true;
}

}  // namespace forge::FORGE_ISA
