#include "core/kernels.h"
#include "cpu/simd.h"

namespace forge::FORGE_ISA {
namespace {

constexpr int64_t most_width = 256, vectors = 2, points = vectors * lanes;

/** Σ (x − c)² for 2·lanes points at a time, lanes = points, against every centroid in order. */
void nearest_of(const float* x, const float* centroids, int64_t count, int64_t k, int64_t width, int32_t* index,
                float* distance) {
  float turned[most_width * points];
  for (int64_t i = 0; i < width; ++i) {
    for (int64_t p = 0; p < points; ++p) turned[i * points + p] = p < count ? x[p * width + i] : 0;
  }
  vf best[vectors];
  vi at[vectors] = {};
  for (vf& b : best) b = splat(__builtin_inff());
  for (int64_t j = 0; j < k; ++j) {
    const float* c = centroids + j * width;
    vf sum[vectors] = {};
    for (int64_t i = 0; i < width; ++i) {
      const vf centre = splat(c[i]);
      for (int64_t v = 0; v < vectors; ++v) {
        const vf off = load(turned + i * points + v * lanes) - centre;
        sum[v] += off * off;
      }
    }
    for (int64_t v = 0; v < vectors; ++v) {
      at[v] = sum[v] < best[v] ? splat_i(static_cast<int32_t>(j)) : at[v];
      best[v] = vmin(sum[v], best[v]);
    }
  }
  for (int64_t p = 0; p < count; ++p) {
    index[p] = at[p / lanes][p % lanes];
    distance[p] = best[p / lanes][p % lanes];
  }
}

}  // namespace

void nearest_centroid(const float* x, const float* centroids, int64_t rows, int64_t k, int64_t width, int32_t* index,
                      float* distance) {
  const int64_t piece = max64(1, grain * 4 / max64(1, k * width)) * points;
  parallel_ranges(rows, piece, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; p += points) {
      nearest_of(x + p * width, centroids, min64(points, end - p), k, width, index + p, distance + p);
    }
  });
}

}  // namespace forge::FORGE_ISA
