#include <cstdio>
#include <cstring>

#include "bench.h"
#include "ops/ops.h"

namespace forge::bench {
namespace {

/** Seconds of a copy of as many bytes, parallel, past the caches: measured in turns with what it is compared with. */
double copy_seconds(double bytes, const Tensor& from, const Tensor& to) {
  const int64_t piece = 1 << 20, pieces = from.bytes() / piece;
  const double once = seconds_of([&] {
    parallel_for(pieces, [&](int64_t i, int) {
      std::memcpy(static_cast<char*>(to.data()) + i * piece, static_cast<char*>(from.data()) + i * piece, piece);
    });
  });
  return once * bytes / (2.0 * static_cast<double>(from.bytes()));
}

}  // namespace

// What a merge must move is each model (and the base) once in and the result once out: `needed` tensors. `moved`
// counts every pass. Both are compared with a copy of as many bytes, run in turns.
void bench_merge() {
  constexpr int64_t n = int64_t{1} << 24;
  const Tensor base = random_tensor({n / 1024, 1024}, 9);
  TensorList xs;
  for (unsigned i = 0; i < 3; ++i) xs.push_back(random_tensor({n / 1024, 1024}, i + 1));
  const Tensor from = random_tensor({n}, 20), to = random_tensor({n}, 21);
  Tensor y;
  const auto line = [&](const char* name, double needed, double moved, const std::function<void()>& f) {
    f();
    std::vector<double> of_needed, of_moved, times, copies;
    for (int round = 0; round < 7; ++round) {
      copies.push_back(copy_seconds(4.0 * n, from, to));
      times.push_back(seconds_of(f));
      of_needed.push_back(copies.back() * needed / times.back());
      of_moved.push_back(copies.back() * moved / times.back());
    }
    const double tensor = 4.0 * n / 1e9;
    record({name, "2^24, models once", needed * tensor / median(times), "GB/s", "memory copy", tensor / median(copies),
            median(of_needed)});
    record({name, "2^24, all passes", moved * tensor / median(times), "GB/s", "memory copy", tensor / median(copies),
            median(of_moved)});
  };
  const auto sparse = [&](int64_t method, double density, double extra, int64_t rescale, bool consensus) {
    return [&, method, density, extra, rescale, consensus] {
      const ops::Numbers weights(3, 0.5), keys(6, 7), densities(3, density), extras(3, extra);
      require(ops::merge_task_vectors(base, xs, weights, method, densities, extras, rescale, keys, consensus, true, 1, y));
    };
  };
  std::printf("merges of 2^24 elements, three models where not two\n");
  line("mergeLinear", 4, 4, [&] { require(ops::merge_linear(xs, {0.5, 0.3, 0.2}, true, y)); });
  line("mergeSlerp (2)", 3, 5, [&] { require(ops::merge_slerp(xs[0], xs[1], 0.3, y)); });
  line("mergeNuslerp (2, base)", 4, 7, [&] { require(ops::merge_nuslerp(xs[0], xs[1], &base, 0.3, y)); });
  line("mergeMultislerp", 4, 7, [&] { require(ops::merge_multislerp(xs, {0.3, 0.3, 0.4}, nullptr, true, y)); });
  line("mergeKarcher", 4, 7, [&] { require(ops::merge_karcher(xs, {0.3, 0.3, 0.4}, 10, 1e-5, y)); });
  line("mergeModelStock", 5, 9, [&] { require(ops::merge_model_stock(base, xs, y)); });
  line("task arithmetic", 5, 5, sparse(0, 1, 0, 0, false));
  line("ties", 5, 11, sparse(1, 0.5, 0, 0, true));
  line("dare_linear, 1/density", 5, 5, sparse(2, 0.5, 0, 2, false));
  line("dare_ties, match L1", 5, 11, sparse(2, 0.5, 0, 1, true));
  line("breadcrumbs", 5, 17, sparse(3, 0.5, 0.05, 0, false));
  line("della", 5, 17, sparse(4, 0.5, 0.1, 1, true));
  line("mergeSce, topk 1", 5, 9, [&] { require(ops::merge_sce(base, xs, 1, y)); });
  line("mergeSce, topk 0.5", 5, 17, [&] { require(ops::merge_sce(base, xs, 0.5, y)); });
  line("mergeRam", 5, 5, [&] { require(ops::merge_ram(base, xs, 0.1, 0, 0, y)); });
  line("mergeNearswap (2)", 3, 3, [&] { require(ops::merge_nearswap(xs[0], xs[1], 0.1, y)); });
  line("mergeArceeFusion (2)", 3, 10, [&] { require(ops::merge_arcee_fusion(base, xs[0], y)); });
  std::printf("\n");
}

}  // namespace forge::bench
