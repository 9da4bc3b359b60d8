#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

#include "bench.h"
#include "core/parallel.h"
#include "ops/ops.h"

namespace forge::bench {
namespace {

using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int);

/** cblas_sgemm of OpenBLAS (or of FORGE_BENCH_BLAS) with as many threads as ours, or null. */
Sgemm load_blas() {
  const char* path = std::getenv("FORGE_BENCH_BLAS");
  void* library = dlopen(path != nullptr ? path : "libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  if (const auto set_threads = reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads"))) {
    set_threads(worker_count());
  }
  return reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
}

struct Case {
  const char* what;
  int64_t m, n, k;
  bool ta, tb;
};

}  // namespace

void bench_matmul() {
  const Sgemm blas = load_blas();
  for (const Case& c : {Case{"cube", 128, 128, 128, false, false}, Case{"cube", 256, 256, 256, false, false},
                        Case{"cube", 512, 512, 512, false, false}, Case{"cube", 1024, 1024, 1024, false, false},
                        Case{"cube", 1024, 1024, 1024, false, true}, Case{"cube", 2048, 2048, 2048, false, false},
                        Case{"kv forward", 2048, 128, 256, false, true},
                        Case{"attention forward", 2048, 256, 256, false, true},
                        Case{"attention dgrad", 2048, 256, 256, false, false},
                        Case{"attention wgrad", 256, 256, 2048, true, false},
                        Case{"ffn up forward", 2048, 512, 256, false, true},
                        Case{"ffn up dgrad", 2048, 256, 512, false, false},
                        Case{"ffn up wgrad", 512, 256, 2048, true, false},
                        Case{"ffn down forward", 2048, 256, 512, false, true},
                        Case{"head forward", 2048, 1024, 256, false, true},
                        Case{"head dgrad", 2048, 256, 1024, false, false},
                        Case{"head wgrad", 1024, 256, 2048, true, false},
                        Case{"decode", 1, 1024, 256, false, true}}) {
    const Tensor a = random_tensor(c.ta ? Shape{c.k, c.m} : Shape{c.m, c.k}, 1);
    const Tensor b = random_tensor(c.tb ? Shape{c.n, c.k} : Shape{c.k, c.n}, 2);
    Tensor y = random_tensor({c.m, c.n}, 3), out;
    const double flop = 2.0 * static_cast<double>(c.m) * static_cast<double>(c.n) * static_cast<double>(c.k);
    const auto our_product = [&] { require(ops::matmul(a, b, c.ta, c.tb, &y, 0, out)); };
    const auto their_product = [&] {
      constexpr int row_major = 101, no_transpose = 111, transpose = 112;
      blas(row_major, c.ta ? transpose : no_transpose, c.tb ? transpose : no_transpose, static_cast<int>(c.m),
           static_cast<int>(c.n), static_cast<int>(c.k), 1, a.f32(), static_cast<int>(c.ta ? c.m : c.k), b.f32(),
           static_cast<int>(c.tb ? c.k : c.n), 0, y.f32(), static_cast<int>(c.n));
    };
    // Rounds of peak, ours, theirs side by side; what is reported is the median of each round's ratio.
    const int repeats = static_cast<int>(std::clamp(5e7 / flop, 1.0, 50.0));
    const auto repeated = [&](const auto& f) {
      return [&f, repeats] { for (int i = 0; i < repeats; ++i) f(); };
    };
    std::vector<double> rate, share, ratio;
    our_product();
    if (blas != nullptr) their_product();
    for (int round = 0; round < 25; ++round) {
      const double peak = peak_burst(), ours = seconds_of(repeated(our_product)) / repeats;
      const double theirs = blas == nullptr ? 0 : seconds_of(repeated(their_product)) / repeats;
      rate.push_back(flop / ours);
      share.push_back(flop / ours / std::max(peak, peak_burst()));
      ratio.push_back(theirs / ours);
    }
    char shape[64];
    std::snprintf(shape, sizeof shape, "%lldx%lldx%lld %c%c", static_cast<long long>(c.m), static_cast<long long>(c.n),
                  static_cast<long long>(c.k), c.ta ? 'T' : 'N', c.tb ? 'T' : 'N');
    const std::string name = std::string("matmul ") + c.what;
    const double gigaflop = median(rate) / 1e9;
    const double bytes = 4.0 * static_cast<double>(c.m * c.k + c.k * c.n + c.m * c.n);
    record({name, shape, gigaflop, "GFLOP/s", "multiply-add peak", gigaflop / median(share), median(share), flop / bytes});
    if (blas != nullptr) {
      record({name, shape, gigaflop, "GFLOP/s", "OpenBLAS", gigaflop / median(ratio), median(ratio)});
    }
  }
  const Tensor a = random_tensor({1024, 1024}, 1), b = random_tensor({1024, 1024}, 2);
  Tensor y;
  record_against_peak("matmulBf16", "1024x1024x1024 NN", 2.0 * 1024 * 1024 * 1024,
                      [&] { require(ops::matmul_bf16(a, b, false, false, nullptr, 0, y)); });
  std::printf("\n");
}

}  // namespace forge::bench
