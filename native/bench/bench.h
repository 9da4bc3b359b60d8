#pragma once
#include <algorithm>
#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "core/tensor.h"

namespace forge::bench {

/**
 * Seconds on the clock, or, with one thread, of processor time: that is what a busy machine leaves
 * comparable.
 */
inline double now_seconds() {
  timespec t;
  clock_gettime(worker_count() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

inline double median(std::vector<double> x) {
  std::nth_element(x.begin(), x.begin() + static_cast<int64_t>(x.size() / 2), x.end());
  return x[x.size() / 2];
}

/** Seconds of one f(). */
inline double seconds_of(const std::function<void()>& f) {
  const double start = now_seconds();
  f();
  return now_seconds() - start;
}

/** Median seconds of f(): at least `least` runs and a quarter of a second, after one run to warm up. */
inline double median_seconds(const std::function<void()>& f, int least = 7) {
  f();
  std::vector<double> times;
  double total = 0;
  while (static_cast<int>(times.size()) < least || total < 0.25) {
    times.push_back(seconds_of(f));
    total += times.back();
  }
  return median(times);
}

/**
 * FLOP/s of all threads together on independent register-only multiply-adds, in a burst of about a
 * millisecond: what no kernel can beat. Taken right before each measurement that is compared with it,
 * because clock frequency and neighbours change from one second to the next.
 */
double peak_burst();
/** Bytes read plus written per second by a parallel copy much larger than the caches. */
double copy_bandwidth();

/** One figure beside what bounds it or does the same, measured in the same run; or alone, with no reference. */
struct Figure {
  std::string name, shape;
  double value;
  std::string unit, reference = "";
  double reference_value = 0;
  /** value over reference_value, or the median of that over interleaved rounds; above 1 is better than the reference. */
  double ratio = 0;
  /** Floating-point operations per byte that has to move; 0 when the figure is not one of the roofline. */
  double intensity = 0;
};
/** Prints the figure as a line of the table and keeps it for --json. */
void record(const Figure& figure);
/** Records the GFLOP/s of f(), which does `flop` operations, beside the multiply-add peak right before and after each run. */
void record_against_peak(const std::string& name, const std::string& shape, double flop, const std::function<void()>& f);
/** Records the GB/s of f(), which has to read and write `bytes`, beside those of a copy. */
void record_against_copy(const std::string& name, const std::string& shape, double bytes, double bandwidth,
                         const std::function<void()>& f);

Tensor random_tensor(const Shape& shape, unsigned seed);
/** Ends the program with the message of a failed status. */
void require(const Status& status);

void bench_matmul();
void bench_ops(double bandwidth);
void bench_merge();
void bench_training_step();
void bench_quantize(double bandwidth);

}  // namespace forge::bench
