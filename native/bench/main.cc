#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "bench.h"
#include "core/kernels.h"
#include "core/parallel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace forge::bench {
namespace {

constexpr int64_t peak_rounds = 200'000;  // about 1 ms

#if defined(__x86_64__)
// Ten chains hide the latency of four cycles on two ports.
__attribute__((target("avx512f"))) float spin_avx512() {
  __m512 x[10];
  for (int i = 0; i < 10; ++i) x[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
  for (int64_t round = 0; round < peak_rounds; ++round) {
#pragma GCC unroll 10
    for (int i = 0; i < 10; ++i) x[i] = _mm512_fmadd_ps(x[i], a, b);
  }
  float total = 0;
  for (int i = 0; i < 10; ++i) total += _mm512_reduce_add_ps(x[i]);
  return total;
}
__attribute__((target("avx2,fma"))) float spin_avx2() {
  __m256 x[10];
  for (int i = 0; i < 10; ++i) x[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  for (int64_t round = 0; round < peak_rounds; ++round) {
#pragma GCC unroll 10
    for (int i = 0; i < 10; ++i) x[i] = _mm256_fmadd_ps(x[i], a, b);
  }
  float total = 0;
  for (int i = 0; i < 10; ++i) total += x[i][0];
  return total;
}
#endif

std::vector<Figure>& figures() {
  static std::vector<Figure> all;
  return all;
}

/** The figures as JSON; no text of ours needs escaping. */
void write_json(const char* path, double peak, double bandwidth) {
  std::FILE* file = std::fopen(path, "w");
  if (file == nullptr) {
    std::fprintf(stderr, "cannot write %s\n", path);
    std::exit(1);
  }
  std::fprintf(file, "{\"isa\":\"%s\",\"threads\":%d,\"peakFlops\":%.6g,\"copyBytesPerSecond\":%.6g,\"figures\":[",
               isa_name(), worker_count(), peak, bandwidth);
  const char* separator = "";
  for (const Figure& f : figures()) {
    std::fprintf(file, "%s\n{\"name\":\"%s\",\"shape\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"intensity\":%.6g,", separator,
                 f.name.c_str(), f.shape.c_str(), f.value, f.unit.c_str(), f.intensity);
    if (f.reference.empty()) {
      std::fprintf(file, "\"reference\":null,\"referenceValue\":null,\"ratio\":null}");
    } else {
      std::fprintf(file, "\"reference\":\"%s\",\"referenceValue\":%.6g,\"ratio\":%.6g}", f.reference.c_str(),
                   f.reference_value, f.ratio);
    }
    separator = ",";
  }
  std::fprintf(file, "\n]}\n");
  std::fclose(file);
}

}  // namespace

void record(const Figure& f) {
  Figure kept = f;
  // No peak is measured off x86-64.
  if (!(f.reference_value > 0)) kept.reference.clear();
  std::printf("%-34s %-18s %10.1f %-10s", f.name.c_str(), f.shape.c_str(), f.value, f.unit.c_str());
  if (!kept.reference.empty()) std::printf(" %5.2f x %s", f.ratio, f.reference.c_str());
  std::printf("\n");
  std::fflush(stdout);
  figures().push_back(std::move(kept));
}

void record_against_peak(const std::string& name, const std::string& shape, double flop, const std::function<void()>& f) {
  f();
  std::vector<double> rates, shares;
  for (double total = 0; rates.size() < 9 || total < 0.25;) {
    const double before = peak_burst(), seconds = seconds_of(f);
    rates.push_back(flop / seconds);
    shares.push_back(rates.back() / std::max(before, peak_burst()));
    total += seconds;
  }
  const double rate = median(rates) / 1e9, share = median(shares);
  record({name, shape, rate, "GFLOP/s", "multiply-add peak", rate / share, share});
}

void record_against_copy(const std::string& name, const std::string& shape, double bytes, double bandwidth,
                         const std::function<void()>& f) {
  const double rate = bytes / median_seconds(f);
  record({name, shape, rate / 1e9, "GB/s", "memory copy", bandwidth / 1e9, rate / bandwidth});
}

double peak_burst() {
#if defined(__x86_64__)
  const bool wide = std::strncmp(isa_name(), "avx512", 6) == 0;
  if (!wide && !__builtin_cpu_supports("avx2")) return 0;
  volatile float sink = 0;
  const double start = now_seconds();
  parallel_for(worker_count(), [&](int64_t, int) { sink = wide ? spin_avx512() : spin_avx2(); });
  const double seconds = now_seconds() - start;
  return 2.0 * (wide ? 16 : 8) * 10 * static_cast<double>(peak_rounds) * worker_count() / seconds;
#else
  return 0;
#endif
}

double copy_bandwidth() {
  constexpr int64_t bytes = int64_t{256} << 20, piece = int64_t{1} << 20;
  Tensor from, to;
  require(empty("bench", DType::u8, {bytes}, from));
  require(empty("bench", DType::u8, {bytes}, to));
  std::memset(from.data(), 1, bytes);
  const double seconds = median_seconds([&] {
    parallel_for(bytes / piece, [&](int64_t i, int) {
      std::memcpy(static_cast<char*>(to.data()) + i * piece, static_cast<char*>(from.data()) + i * piece, piece);
    });
  });
  return 2.0 * bytes / seconds;
}

Tensor random_tensor(const Shape& shape, unsigned seed) {
  Tensor x;
  require(empty("bench", DType::f32, shape, x));
  std::minstd_rand generator(seed);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  for (int64_t i = 0; i < x.count(); ++i) x.f32()[i] = uniform(generator);
  return x;
}

void require(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  std::exit(1);
}

}  // namespace forge::bench

/** Arguments: any of matmul, ops, merge, step, quantize (none means all); --json FILE writes the figures as well. */
int main(int count, char** arguments) {
  using namespace forge::bench;
  const char* json = nullptr;
  std::vector<std::string> names;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], "--json") == 0 && i + 1 < count) json = arguments[++i];
    else names.emplace_back(arguments[i]);
  }
  const auto wanted = [&](const char* name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<double> bursts;
  for (int i = 0; i < 51; ++i) bursts.push_back(peak_burst());
  const double peak = median(bursts), bandwidth = copy_bandwidth();
  const char* core_type = std::getenv("OPENBLAS_CORETYPE");
  std::printf("isa %s, %d threads (1: processor time), OPENBLAS_CORETYPE=%s\n", forge::isa_name(), forge::worker_count(),
              core_type == nullptr ? "" : core_type);
  std::printf("measured peak %.0f GFLOP/s, copy %.1f GB/s (read + write)\n\n", peak / 1e9, bandwidth / 1e9);
  if (wanted("matmul")) bench_matmul();
  if (wanted("ops")) bench_ops(bandwidth);
  if (wanted("merge")) bench_merge();
  if (wanted("step")) bench_training_step();
  if (wanted("quantize")) bench_quantize(bandwidth);
  if (json != nullptr) write_json(json, peak, bandwidth);
}
