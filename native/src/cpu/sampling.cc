#include "cpu/philox.h"
#include "cpu/rows.h"

/** Choices by keyed random numbers, and the largest of a row. */
namespace forge::FORGE_ISA {
namespace {

/** Whether a comes before b in falling order: NaN first, as argmax has it. */
bool precedes(float a, float b) { return a > b || (a != a && b == b); }

}  // namespace

void dropout(const float* x, float* y, int64_t n, double keep, const Philox& key) {
  const vi threshold = splat_i(static_cast<int32_t>(bernoulli_threshold(keep)));
  const vf scale = splat(static_cast<float>(1 / keep)), zero = {};
  constexpr int64_t piece = 4096;  // whole blocks of words
  parallel_ranges(n, piece, [&](int64_t begin, int64_t end) {
    uint32_t drawn[256];
    for (int64_t at = begin; at < end; at += 256) {
      const int64_t here = min64(256, end - at);
      philox_top24(key, at, here, drawn);
      for (int64_t i = 0; i < here; i += lanes) {
        const int64_t count = min64(lanes, here - i);
        vi word = {};
        memcpy(&word, drawn + i, static_cast<size_t>(count) * sizeof(uint32_t));
        const vi stays = word < threshold;
        store_some(y + at + i, stays ? load_some(x + at + i, count) * scale : zero, count);
      }
    }
  });
}

void top_k(const float* x, float* values, int32_t* index, int64_t rows, int64_t width, int64_t k) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float* xr = x + row * width;
    float* best = values + row * k;
    int32_t* at = index + row * k;
    int64_t held = 0;
    for (int64_t i = 0; i < width; ++i) {
      if (held == k && !precedes(xr[i], best[k - 1])) continue;
      int64_t to = held < k ? held++ : k - 1;
      for (; to > 0 && precedes(xr[i], best[to - 1]); --to) {
        best[to] = best[to - 1];
        at[to] = at[to - 1];
      }
      best[to] = xr[i];
      at[to] = static_cast<int32_t>(i);
    }
  });
}

void categorical(const float* logits, int32_t* y, int64_t rows, int64_t width, const Philox& key) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float* z = logits + row * width;
    const float top = row_max(z, width);
    uint32_t drawn;
    philox_top24(key, row, 1, &drawn);
    y[row] = -1;
    if (!(top > -__builtin_inff() && top < __builtin_inff())) return;
    double total = 0;
    float weights[lanes];
    for (int64_t i = 0; i < width; i += lanes) {
      const int64_t count = min64(lanes, width - i);
      store(weights, vexp(load_some(z + i, count) - top));
      for (int64_t j = 0; j < count; ++j) total += weights[j];
    }
    const double wanted = (drawn + 0.5) * 0x1p-24 * total;
    double passed = 0;
    for (int64_t i = 0; i < width; i += lanes) {
      const int64_t count = min64(lanes, width - i);
      store(weights, vexp(load_some(z + i, count) - top));
      for (int64_t j = 0; j < count; ++j) {
        if (weights[j] == 0) continue;
        y[row] = static_cast<int32_t>(i + j);  // the last one possible, should rounding leave `wanted` at the end
        passed += weights[j];
        if (wanted < passed) return;
      }
    }
  });
}

}  // namespace forge::FORGE_ISA
