#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <vector>

#include "core/backend.h"
#include "core/capture.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

/** cos and sin of position·theta^(−2i/dim)/factors[i], positions 0 …, computed in f64. No factors: all one. */
struct Rotations {
  double theta;
  int64_t dim;
  std::vector<double> factors;
  int64_t positions;
  std::vector<float> cosine, sine;
};

/** The two tables where a thread's kernels can read them. */
struct Placed {
  std::shared_ptr<const Rotations> table;
  const Backend* device;
  Tensor cosine, sine;
};

std::shared_ptr<const Rotations> make_rotations(double theta, int64_t dim, const std::vector<double>& factors,
                                                int64_t positions) {
  auto made = std::make_shared<Rotations>();
  made->theta = theta;
  made->dim = dim;
  made->factors = factors;
  made->positions = positions;
  const int64_t half = dim / 2;
  made->cosine.resize(static_cast<size_t>(positions * half));
  made->sine.resize(static_cast<size_t>(positions * half));
  for (int64_t i = 0; i < half; ++i) {
    const double factor = factors.empty() ? 1.0 : factors[static_cast<size_t>(i)];
    const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(dim)) / factor;
    for (int64_t t = 0; t < positions; ++t) {
      const double angle = static_cast<double>(t) * frequency;
      made->cosine[static_cast<size_t>(t * half + i)] = static_cast<float>(std::cos(angle));
      made->sine[static_cast<size_t>(t * half + i)] = static_cast<float>(std::sin(angle));
    }
  }
  return made;
}

/** A table of at least `positions`, kept for the next call; a process uses one or two geometries. */
std::shared_ptr<const Rotations> rotations(double theta, int64_t dim, const std::vector<double>& factors, int64_t positions) {
  constexpr size_t kept = 4;
  static std::mutex mutex;
  static auto* cache = new std::vector<std::shared_ptr<const Rotations>>();
  const std::lock_guard lock(mutex);
  for (auto& entry : *cache) {
    if (entry->theta != theta || entry->dim != dim || entry->factors != factors) continue;
    // Doubling keeps token-by-token generation from rebuilding the table at every step.
    if (entry->positions < positions) {
      entry = make_rotations(theta, dim, factors, std::max(positions, 2 * entry->positions));
    }
    return entry;
  }
  if (cache->size() >= kept) cache->erase(cache->begin());
  cache->push_back(make_rotations(theta, dim, factors, std::max<int64_t>(positions, 256)));
  return cache->back();
}

Status place(const std::vector<float>& values, Tensor& y) {
  FORGE_TRY(empty("rope", DType::f32, Shape{static_cast<int64_t>(values.size())}, y));
  copy_in(y.data(), values.data(), y.bytes());
  return backend_status("rope");  // a table that did not arrive must not be kept
}

/** The tables in the memory of a device; each thread keeps its own, in the order of its own queue of work. */
Status place(std::shared_ptr<const Rotations> table, Placed*& placed) {
  constexpr size_t kept = 4;
  thread_local std::vector<Placed> cache;
  for (Placed& entry : cache) {
    placed = &entry;
    if (entry.table == table && entry.device == &backend()) return {};
  }
  Placed made{std::move(table), &backend(), {}, {}};
  FORGE_TRY(place(made.table->cosine, made.cosine));
  FORGE_TRY(place(made.table->sine, made.sine));
  if (cache.size() >= kept) cache.erase(cache.begin());
  cache.push_back(std::move(made));
  placed = &cache.back();
  return {};
}

}  // namespace

Status rope(const Tensor& x, int64_t position0, double theta, const std::vector<double>& factors, int64_t pairing,
            bool inverse, Tensor& y) {
  constexpr int64_t longest = int64_t{1} << 22;
  FORGE_TRY(expect_f32("rope", {&x}));
  const Shape& shape = x.shape();
  if (shape.rank != 4 || shape[3] % 2 != 0) {
    return failure(Code::shape, "rope: x %s, needs [B, T, H, D] with even D", shape.text().c_str());
  }
  if (position0 < 0 || position0 > longest || shape[1] > longest || !(theta > 0) || pairing < 0 || pairing > 1) {
    return failure(Code::argument, "rope: position0 %lld (0 to 2^22), theta %g (> 0), pairing %lld (0 or 1)",
                   static_cast<long long>(position0), theta, static_cast<long long>(pairing));
  }
  if (!factors.empty() && factors.size() != static_cast<size_t>(shape[3] / 2)) {
    return failure(Code::shape, "rope: %zu factors, x %s needs %lld or none", factors.size(), shape.text().c_str(),
                   static_cast<long long>(shape[3] / 2));
  }
  for (size_t i = 0; i < factors.size(); ++i) {
    if (!(factors[i] > 0) || std::isinf(factors[i])) {
      return failure(Code::argument, "rope: factor %zu is %g; must be above 0 and finite", i, factors[i]);
    }
  }
  Tensor result;
  FORGE_TRY(empty("rope", DType::f32, shape, result));
  if (result.count() > 0) {
    const auto table = rotations(theta, shape[3], factors, position0 + shape[1]);
    const int64_t first = position0 * (shape[3] / 2);
    const float *cosine = table->cosine.data(), *sine = table->sine.data();
    if (!on_host()) {
      Placed* placed = nullptr;
      FORGE_TRY(place(table, placed));
      hold(placed->cosine);
      hold(placed->sine);
      cosine = placed->cosine.f32();
      sine = placed->sine.f32();
    }
    kernels().rope(x.f32(), cosine + first, sine + first, result.f32(), shape[0], shape[1], shape[2], shape[3],
                   pairing == 1, inverse);
  }
  y = std::move(result);
  return {};
}

}  // namespace forge::ops
