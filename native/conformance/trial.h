#pragma once
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/tensor.h"

/** Ops of a device against those of the processor: the same operands, made anew on each. */
namespace forge::conformance {

/** One run of an op on the device in use: makes operands, collects results. Operands depend on their order only. */
class Trial {
 public:
  /** f32, normal with the standard deviation `scale`. */
  Tensor normal(const Shape& shape, double scale = 1);
  /** The same about `mean`, each a bf16. */
  Tensor short_normal(const Shape& shape, double scale = 1, double mean = 0);
  /** f32, uniform in low..high. */
  Tensor uniform(const Shape& shape, double low, double high);
  /** i32, uniform in 0..limit−1. */
  Tensor indices(const Shape& shape, int64_t limit);
  /** The given values. */
  Tensor floats(const Shape& shape, const std::vector<float>& values);
  Tensor doubles(const std::vector<double>& values);
  Tensor integers(const Shape& shape, const std::vector<int32_t>& values);
  /** Any dtype, arbitrary bytes. */
  Tensor bytes(DType dtype, const Shape& shape);
  /** The same shape, beginning one element into a buffer: what views give. */
  Tensor unaligned(const Tensor& x);

  /** Keeps the first failure. */
  void check(const Status& status);
  /** ARGUMENT with these words: at once, or on a device from the next call that waits. Notes the failure otherwise. */
  void expect_refused(Status status, const std::string& words);
  void out(const Tensor& x);
  void out(double value);

  const Status& status() const { return status_; }

  struct Output {
    DType dtype;
    std::string shape;
    std::vector<unsigned char> data;
  };
  const std::vector<Output>& outputs() const { return outputs_; }

 private:
  std::mt19937 generator_{7};
  std::vector<Output> outputs_;
  Status status_;
};

/** How far results may be from the processor's, relative to the largest of its magnitudes, at least 1; and why. */
struct Tolerance {
  double value;
  const char* reason;
};

struct Case {
  /** Name as JavaScript calls it. */
  const char* op;
  Tolerance tolerance;
  std::string size;
  std::function<void(Trial&)> run;
};

/** All cases; ops in the order of src/ops/ops.h. */
std::vector<Case> cases();

/** What came of the cases of one op. */
struct Result {
  std::string op;
  Tolerance tolerance{};
  int64_t cases = 0;
  /** The deviation that comes nearest to its tolerance, which is the one above. */
  double worst = 0;
  double seconds = 0;
  std::vector<std::string> failures;
};

/**
 * Runs every case on the processor and twice on `device`: results within the tolerance, the same bytes both times; and
 * every op that the device names has a case.
 * @param between  called before each of the two runs on the device, with 0 or 1
 */
std::vector<Result> compare(const Backend& device, const std::function<void(int)>& between);

/** A table of results, and how many ops failed. */
int64_t print(const std::vector<Result>& results);

}  // namespace forge::conformance
