#include "cuda/merge.h"

#include "cuda/table.h"

#include <vector>

#include "cuda/block.h"
#include "cuda/exact.h"

/**
 * Weighted sums of models, their inner products, and mixes of task vectors; the steps and their order are those of
 * src/cpu/merge_*.cc. A thread takes an entry of all models.
 */
namespace forge::cuda {
namespace {

constexpr int threads = 256;

/** The models' addresses in device memory, at the front of the workspace; `rest` is what follows them. */
struct Placed {
  const float* base;
  const float* const* xs;
  int64_t sources;
  char* rest;
};

Placed place(const MergeSources& s) {
  char* front = static_cast<char*>(workspace());
  const int64_t bytes = s.sources * static_cast<int64_t>(sizeof(const float*));
  write(front, s.xs, bytes);
  return {s.base, reinterpret_cast<const float* const*>(front), s.sources, front + bytes};
}

/** `n` numbers or rules in device memory from `at` on; moves `at` behind them. */
template <class T>
const T* place(const T* values, int64_t n, char*& at) {
  write(at, values, n * static_cast<int64_t>(sizeof(T)));
  const auto* placed = reinterpret_cast<const T*>(at);
  at += n * static_cast<int64_t>(sizeof(T));
  return placed;
}

__device__ inline double delta_of(const Placed& s, int64_t source, int64_t i) {
  const float x = s.xs[source][i];
  return static_cast<double>(s.base == nullptr ? x : x - s.base[i]);
}

/** partial[chunk, i, j] = δi·δj over one chunk, for i ≤ j; a block each. */
__global__ void chunk_products(Placed s, int64_t count, double* partial) {
  const int64_t pairs = s.sources * s.sources, chunk = blockIdx.x / pairs;
  const int64_t i = blockIdx.x % pairs / s.sources, j = blockIdx.x % s.sources;
  if (i > j) return;
  const int64_t end = min64(count, (chunk + 1) * merge_chunk);
  double sum = 0;
  for (int64_t e = chunk * merge_chunk + threadIdx.x; e < end; e += threads) {
    sum += delta_of(s, i, e) * delta_of(s, j, e);
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__device__ inline bool is_above(const MergeCut& cut, int32_t magnitude, int64_t at) {
  return magnitude > cut.bits || (magnitude == cut.bits && at <= cut.last);
}

/** The entry of a delta that a rule keeps, or 0; not yet scaled. `rule` is that of all sources. */
__device__ inline float kept(MergeKeep::Rule rule, const MergeKeep& keep, float delta, int64_t at) {
  if (rule == MergeKeep::Rule::band) {
    int32_t magnitude;
    memcpy(&magnitude, &delta, sizeof magnitude);
    magnitude &= 0x7fffffff;
    return is_above(keep.inner, magnitude, at) && !is_above(keep.outer, magnitude, at) ? delta : 0.0f;
  }
  if (rule == MergeKeep::Rule::bits && keep.bits != nullptr) {
    return (keep.bits[at / 64] >> (at % 64) & 1) != 0 ? delta : 0.0f;
  }
  return delta;
}

__device__ inline double divided(double sum, double weight) { return sum / (fabs(weight) >= 1e-8 ? weight : 1.0); }

}  // namespace

void merge_sum(const MergeSources& s, const double* factors, float* y) {
  Placed placed = place(s);
  const double* f = place(factors, s.sources, placed.rest);
  for_each("merge_sum", s.count, [=] __device__(int64_t e) {
    double sum = 0;
    for (int64_t i = 0; i < placed.sources; ++i) sum = plus_product(sum, f[i], static_cast<double>(placed.xs[i][e]));
    y[e] = static_cast<float>(sum);
  });
}

void merge_gram(const MergeSources& s, double* gram, double* partial) {
  const int64_t n = s.sources, pairs = n * n, chunks = merge_chunks(s.count);
  const Placed placed = place(s);
  launch("merge_gram", chunk_products, chunks * pairs, threads, 0, placed, s.count, partial);
  std::vector<double> sums(static_cast<size_t>(chunks * pairs));
  read_back(sums.data(), partial, chunks * pairs * static_cast<int64_t>(sizeof(double)));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i; j < n; ++j) {
      double total = 0;
      for (int64_t chunk = 0; chunk < chunks; ++chunk) total += sums[static_cast<size_t>(chunk * pairs + i * n + j)];
      gram[i * n + j] = gram[j * n + i] = total;
    }
  }
}

void merge_task_vectors(const MergeSources& s, const MergeKeep* keep, const MergeMix& mix, float* y) {
  Placed placed = place(s);
  const double* weights = place(mix.weights, s.sources, placed.rest);
  const MergeKeep* rules = place(keep, s.sources, placed.rest);
  double all = 0;
  for (int64_t i = 0; i < s.sources; ++i) all += mix.weights[i];
  const MergeKeep::Rule rule = keep[0].rule;
  const bool consensus = mix.consensus, normalize = mix.normalize;
  const double lambda = mix.lambda;
  for_each("merge_task_vectors", s.count, [=] __device__(int64_t e) {
    const float base = placed.base[e];
    double sum = 0, positive = 0, negative = 0, positive_weight = 0, negative_weight = 0;
    for (int64_t i = 0; i < placed.sources; ++i) {
      const float delta = kept(rule, rules[i], placed.xs[i][e] - base, e);
      const double scale = rules[i].scale;
      // Rounded to f32 after each of the two steps, as a stored tensor would be.
      const float scaled = scale == 1.0 ? delta : static_cast<float>(times(static_cast<double>(delta), scale));
      const double share = times(weights[i], static_cast<double>(scaled));
      sum += share;
      if (share > 0) {
        positive += share;
        positive_weight += weights[i];
      } else if (share < 0) {
        negative += share;
        negative_weight += weights[i];
      }
    }
    // The elected sign is that of the sum, + for 0.
    const double agreed = !consensus ? sum : (sum >= 0 ? positive : negative);
    const double weight = !normalize ? 1.0 : (!consensus ? all : (sum >= 0 ? positive_weight : negative_weight));
    const double change = divided(times(lambda, agreed), weight);
    y[e] = static_cast<float>(static_cast<double>(base) + change);
  });
}

// mergekit's nearswap: towards b by t/|a − b|, at most all the way; differences below 1e-6 count as 1e-6.
void merge_nearswap(const float* a, const float* b, double t, float* y, int64_t n) {
  for_each("merge_nearswap", n, [=] __device__(int64_t e) {
    const double from = static_cast<double>(a[e]), to = static_cast<double>(b[e]);
    double difference = from - to < 0 ? -(from - to) : from - to;
    difference = difference < 1e-6 ? 1e-6 : difference;
    double weight = t / difference;
    weight = weight > 1 ? 1 : weight;
    weight = weight < 0 ? 0 : weight;
    const double stays = times(1 - weight, from);
    y[e] = static_cast<float>(plus_product(stays, weight, to));
  });
}

}  // namespace forge::cuda
