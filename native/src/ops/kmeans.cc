#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "core/kernels.h"
#include "core/parallel.h"
#include "ops/finite.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

constexpr int64_t most_width = 256;
/** Rows that k-means++ looks at, per centroid: more gain nothing (the habit of faiss). */
constexpr int64_t sampled_per_centroid = 256;
/** Rows per partial sum: fixed, so that results do not depend on threads. */
constexpr int64_t rows_per_sum = 4096;

Status check_rows(const char* op, const Tensor& x) {
  FORGE_TRY(expect_f32(op, {&x}));
  if (x.shape().rank != 2 || x.shape()[1] < 1 || x.shape()[1] > most_width) {
    return failure(Code::shape, "%s: x %s, needs [N, D] with D from 1 to %lld", op, x.shape().text().c_str(),
                   static_cast<long long>(most_width));
  }
  return expect_finite(op, x);
}

/** Rows in clusters, and where they stand. */
struct Clustering {
  const float* x;
  const float* weights;
  int64_t rows, width, k;
  float* centroids;
  int32_t* index;
  float* distance;

  double weight(int64_t row) const { return weights == nullptr ? 1.0 : double{weights[row]}; }
  void assign() const { kernels().nearest_centroid(x, centroids, rows, k, width, index, distance); }
};

/**
 * k-means++: the first centre at random, each next one in proportion to weight · squared distance to the nearest so far.
 * Runs over `sample`, rows of x in order. picks: k uniform numbers.
 */
void choose_centres(const Clustering& c, const std::vector<int64_t>& sample, const float* picks) {
  const int64_t n = static_cast<int64_t>(sample.size()), blocks = (n + rows_per_sum - 1) / rows_per_sum;
  std::vector<double> share(static_cast<size_t>(n)), block_sum(static_cast<size_t>(blocks));
  std::vector<float> nearest(static_cast<size_t>(n), INFINITY);
  for (int64_t j = 0; j < c.k; ++j) {
    const float* last = c.centroids + std::max<int64_t>(j - 1, 0) * c.width;
    parallel_for(blocks, [&](int64_t block, int) {
      double sum = 0;
      for (int64_t i = block * rows_per_sum; i < std::min(n, (block + 1) * rows_per_sum); ++i) {
        const size_t at = static_cast<size_t>(i);
        const float* row = c.x + sample[at] * c.width;
        float off = 0;
        for (int64_t d = 0; j > 0 && d < c.width; ++d) off += (row[d] - last[d]) * (row[d] - last[d]);
        if (j > 0) nearest[at] = std::min(nearest[at], off);
        share[at] = c.weight(sample[at]) * (j > 0 ? double{nearest[at]} : 1.0);
        sum += share[at];
      }
      block_sum[static_cast<size_t>(block)] = sum;
    });
    // With fewer distinct rows than centres all shares become 0; then any row will do.
    const double total = std::accumulate(block_sum.begin(), block_sum.end(), 0.0);
    double left = double{picks[j]} * total;
    int64_t block = 0;
    while (block + 1 < blocks && left >= block_sum[static_cast<size_t>(block)]) {
      left -= block_sum[static_cast<size_t>(block++)];
    }
    int64_t i = block * rows_per_sum;
    const int64_t end = std::min(n, i + rows_per_sum);
    while (i + 1 < end && left >= share[static_cast<size_t>(i)]) left -= share[static_cast<size_t>(i++)];
    if (!(total > 0)) i = std::min(n - 1, static_cast<int64_t>(picks[j] * static_cast<float>(n)));
    std::memcpy(c.centroids + j * c.width, c.x + sample[static_cast<size_t>(i)] * c.width,
                static_cast<size_t>(c.width) * sizeof(float));
  }
}

/** Rows in order of cluster, and where each cluster begins. */
void sort_by_cluster(const Clustering& c, std::vector<int64_t>& begin, std::vector<int32_t>& order) {
  begin.assign(static_cast<size_t>(c.k) + 1, 0);
  for (int64_t i = 0; i < c.rows; ++i) ++begin[static_cast<size_t>(c.index[i]) + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<int64_t> next(begin.begin(), begin.end() - 1);
  order.resize(static_cast<size_t>(c.rows));
  for (int64_t i = 0; i < c.rows; ++i) {
    order[static_cast<size_t>(next[static_cast<size_t>(c.index[i])]++)] = static_cast<int32_t>(i);
  }
}

/** Centroids := weighted means; clusters without weight move to the rows that lie worst, one each. */
void update_centroids(const Clustering& c, std::vector<int64_t>& begin, std::vector<int32_t>& order) {
  sort_by_cluster(c, begin, order);
  std::vector<uint8_t> is_empty(static_cast<size_t>(c.k));
  parallel_for(c.k, [&](int64_t j, int) {
    double sums[most_width] = {}, total = 0;
    for (int64_t at = begin[static_cast<size_t>(j)]; at < begin[static_cast<size_t>(j) + 1]; ++at) {
      const int64_t row = order[static_cast<size_t>(at)];
      const double weight = c.weight(row);
      total += weight;
      for (int64_t d = 0; d < c.width; ++d) sums[d] += weight * double{c.x[row * c.width + d]};
    }
    is_empty[static_cast<size_t>(j)] = !(total > 0);
    for (int64_t d = 0; total > 0 && d < c.width; ++d) {
      c.centroids[j * c.width + d] = static_cast<float>(sums[d] / total);
    }
  });
  const int64_t vacant = std::accumulate(is_empty.begin(), is_empty.end(), int64_t{0});
  if (vacant == 0) return;
  const auto loss = [&](int32_t row) { return c.weight(row) * double{c.distance[row]}; };
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + std::min(vacant, c.rows), order.end(), [&](int32_t a, int32_t b) {
    return loss(a) != loss(b) ? loss(a) > loss(b) : a < b;
  });
  size_t worst = 0;
  for (int64_t j = 0; j < c.k; ++j) {
    if (is_empty[static_cast<size_t>(j)] == 0 || !(loss(order[worst]) > 0)) continue;
    std::memcpy(c.centroids + j * c.width, c.x + order[worst++] * c.width, static_cast<size_t>(c.width) * sizeof(float));
  }
}

}  // namespace

Status nearest_centroid(const Tensor& x, const Tensor& centroids, Tensor& index, Tensor& distance) {
  constexpr const char* op = "nearestCentroid";
  FORGE_TRY(check_rows(op, x));
  FORGE_TRY(check_rows(op, centroids));
  if (x.shape()[1] != centroids.shape()[1] || centroids.shape()[0] < 1) {
    return failure(Code::shape, "%s: x %s and centroids %s, need [N, D] and [K, D] with K from 1", op,
                   x.shape().text().c_str(), centroids.shape().text().c_str());
  }
  Tensor nearest, squared;
  FORGE_TRY(empty(op, DType::i32, {x.shape()[0]}, nearest));
  FORGE_TRY(empty(op, DType::f32, {x.shape()[0]}, squared));
  kernels().nearest_centroid(x.f32(), centroids.f32(), x.shape()[0], centroids.shape()[0], x.shape()[1], nearest.i32(),
                             squared.f32());
  index = std::move(nearest);
  distance = std::move(squared);
  return {};
}

Status kmeans(const Tensor& x, const Tensor* weights, int64_t k, int64_t iterations, uint32_t seed_lo, uint32_t seed_hi,
              Tensor& centroids, Tensor& index, Tensor& distance) {
  constexpr const char* op = "kmeans";
  FORGE_TRY(check_rows(op, x));
  const int64_t rows = x.shape()[0], width = x.shape()[1];
  if (k < 1 || k > rows || rows > INT32_MAX || iterations < 0 ||
      iterations > 10000) {
    return failure(Code::argument, "%s: %lld centroids and %lld iterations of x %s, needs 1 to N and 0 to 10000", op,
                   static_cast<long long>(k), static_cast<long long>(iterations), x.shape().text().c_str());
  }
  if (weights != nullptr) {
    FORGE_TRY(expect_f32(op, {weights}));
    if (!(weights->shape() == Shape{rows})) {
      return failure(Code::shape, "%s: weights %s of x %s, needs [%lld]", op, weights->shape().text().c_str(),
                     x.shape().text().c_str(), static_cast<long long>(rows));
    }
    FORGE_TRY(expect_finite(op, *weights));
    const float* least = std::min_element(weights->f32(), weights->f32() + rows);
    if (*least < 0) {
      return failure(Code::argument, "%s: weight %g of row %lld, must not be negative", op, *least,
                     static_cast<long long>(least - weights->f32()));
    }
  }
  Tensor centres, nearest, squared, uniform;
  FORGE_TRY(empty(op, DType::f32, {k, width}, centres));
  FORGE_TRY(empty(op, DType::i32, {rows}, nearest));
  FORGE_TRY(empty(op, DType::f32, {rows}, squared));
  const int64_t samples = std::min(rows, sampled_per_centroid * k);
  FORGE_TRY(empty(op, DType::f32, {k + samples}, uniform));
  kernels().philox_uniform(uniform.f32(), uniform.count(), {seed_lo, seed_hi, 0});
  const Clustering clusters{x.f32(), weights == nullptr ? nullptr : weights->f32(), rows, width, k, centres.f32(),
                            nearest.i32(), squared.f32()};
  // One row at random of each of `samples` equal stretches.
  std::vector<int64_t> sample(static_cast<size_t>(samples));
  for (int64_t i = 0; i < samples; ++i) {
    const double stretch = static_cast<double>(rows) / static_cast<double>(samples);
    const double at = (static_cast<double>(i) + double{uniform.f32()[k + i]}) * stretch;
    sample[static_cast<size_t>(i)] = std::min(rows - 1, static_cast<int64_t>(samples == rows ? i : at));
  }
  choose_centres(clusters, sample, uniform.f32());
  clusters.assign();
  std::vector<int64_t> begin;
  std::vector<int32_t> order, before;
  for (int64_t i = 0; i < iterations; ++i) {
    before.assign(clusters.index, clusters.index + rows);
    update_centroids(clusters, begin, order);
    clusters.assign();
    if (std::equal(before.begin(), before.end(), clusters.index)) break;
  }
  centroids = std::move(centres);
  index = std::move(nearest);
  distance = std::move(squared);
  return {};
}

}  // namespace forge::ops
