#include "cpu/rows.h"

namespace forge::FORGE_ISA {
namespace {

/** (x1, x2) -> (x1 c − x2 s, x2 c + x1 s) on the two halves of a head. */
void rotate_halves(const float* x, const float* c, const float* s, float* y, int64_t half, vf sign) {
  int64_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const vf x1 = load(x + i), x2 = load(x + half + i), cosine = load(c + i), sine = load(s + i) * sign;
    store(y + i, x1 * cosine - x2 * sine);
    store(y + half + i, x2 * cosine + x1 * sine);
  }
  if (i < half) {
    const int64_t rest = half - i;
    const vf x1 = load_n(x + i, rest), x2 = load_n(x + half + i, rest);
    const vf cosine = load_n(c + i, rest), sine = load_n(s + i, rest) * sign;
    store_n(y + i, x1 * cosine - x2 * sine, rest);
    store_n(y + half + i, x2 * cosine + x1 * sine, rest);
  }
}

void rotate_neighbours(const float* x, const float* c, const float* s, float* y, int64_t half, float sign) {
  for (int64_t i = 0; i < half; ++i) {
    const float x1 = x[2 * i], x2 = x[2 * i + 1], sine = s[i] * sign;
    y[2 * i] = x1 * c[i] - x2 * sine;
    y[2 * i + 1] = x2 * c[i] + x1 * sine;
  }
}

}  // namespace

void rope(const float* x, const float* cosine, const float* sine, float* y, int64_t batch, int64_t time, int64_t heads,
          int64_t dim, bool neighbours, bool inverse) {
  const int64_t half = dim / 2, row_width = heads * dim;
  const float sign = inverse ? -1.0f : 1.0f;
  const vf signs = splat(sign);
  parallel_rows(batch * time, row_width, [&](int64_t row) {
    const int64_t t = row % time;
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t at = row * row_width + head * dim;
      if (neighbours) {
        rotate_neighbours(x + at, cosine + t * half, sine + t * half, y + at, half, sign);
      } else {
        rotate_halves(x + at, cosine + t * half, sine + t * half, y + at, half, signs);
      }
    }
  });
}

}  // namespace forge::FORGE_ISA
