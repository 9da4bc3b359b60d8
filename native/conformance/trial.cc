#include "trial.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

#include "core/allocator.h"
#include "core/backend.h"
#include "ops/support.h"

namespace forge::conformance {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string format(const char* text, double a, double b) {
  char line[160];
  std::snprintf(line, sizeof line, text, a, b);
  return line;
}

double element(const Trial::Output& x, size_t i) {
  const auto get = [&]<class T>(T value) {
    std::memcpy(&value, x.data.data() + i * sizeof value, sizeof value);
    return static_cast<double>(value);
  };
  switch (x.dtype) {
    case DType::f32: return get(float{});
    case DType::f64: return get(double{});
    case DType::i32: return get(int32_t{});
    case DType::bf16: return get(uint16_t{});
    case DType::u8: return get(uint8_t{});
    case DType::i8: return get(int8_t{});
  }
  return 0;
}

/** Largest difference over the largest magnitude of `expected`, at least 1; ∞ when only one of two is not finite. */
double deviation(const Trial::Output& got, const Trial::Output& expected) {
  const size_t n = expected.data.size() / static_cast<size_t>(size_of(expected.dtype));
  double largest = 1, difference = 0;
  for (size_t i = 0; i < n; ++i) {
    const double a = element(got, i), b = element(expected, i);
    if (std::isfinite(b)) largest = std::max(largest, std::fabs(b));
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    difference = std::isfinite(a) && std::isfinite(b) ? std::max(difference, std::fabs(a - b)) : INFINITY;
  }
  return difference / largest;
}

Trial run_on(const Backend& device, const Case& test) {
  select_backend(device);
  Trial trial;
  test.run(trial);
  trial.check(backend_status());
  select_backend(cpu_backend());
  return trial;
}

bool same_bytes(const Trial& a, const Trial& b) {
  for (size_t i = 0; i < a.outputs().size(); ++i) {
    if (a.outputs()[i].data != b.outputs()[i].data) return false;
  }
  return true;
}

void compare_case(const Backend& device, const std::function<void(int)>& between, const Case& test, Result& result) {
  const auto fail = [&](const std::string& what) { result.failures.push_back(test.size + ": " + what); };
  const Trial expected = run_on(cpu_backend(), test);
  if (!expected.status().ok()) return fail("cpu: " + expected.status().message());
  const double start = now();
  between(0);
  const Trial first = run_on(device, test);
  between(1);
  const Trial second = run_on(device, test);
  result.seconds += now() - start;
  for (const Trial* trial : {&first, &second}) {
    if (!trial->status().ok()) return fail(trial->status().message());
  }
  if (first.outputs().size() != expected.outputs().size()) return fail("another number of results");
  for (size_t i = 0; i < expected.outputs().size(); ++i) {
    const Trial::Output &got = first.outputs()[i], &wanted = expected.outputs()[i];
    const std::string name = "result " + std::to_string(i);
    if (got.shape != wanted.shape || got.dtype != wanted.dtype) return fail(name + " is " + got.shape + ", not " + wanted.shape);
    const double off = deviation(got, wanted);
    // Kept is what comes nearest to its own tolerance.
    if (off * result.tolerance.value > result.worst * test.tolerance.value) {
      result.worst = off;
      result.tolerance = test.tolerance;
    }
    if (!(off <= test.tolerance.value)) fail(name + format(" is off by %.3g, allowed is %.3g", off, test.tolerance.value));
  }
  if (!same_bytes(first, second)) fail("a second run gave other bytes");
}

}  // namespace

Tensor Trial::floats(const Shape& shape, const std::vector<float>& values) {
  Tensor x;
  check(empty("conformance", DType::f32, shape, x));
  copy_in(x.data(), values.data(), x.bytes());
  return x;
}

Tensor Trial::doubles(const std::vector<double>& values) {
  Tensor x;
  check(empty("conformance", DType::f64, Shape{static_cast<int64_t>(values.size())}, x));
  copy_in(x.data(), values.data(), x.bytes());
  return x;
}

Tensor Trial::integers(const Shape& shape, const std::vector<int32_t>& values) {
  Tensor x;
  check(empty("conformance", DType::i32, shape, x));
  copy_in(x.data(), values.data(), x.bytes());
  return x;
}

Tensor Trial::normal(const Shape& shape, double scale) {
  std::normal_distribution<float> distribution(0.0f, static_cast<float>(scale));
  std::vector<float> values(static_cast<size_t>(shape.count()));
  for (float& value : values) value = distribution(generator_);
  return floats(shape, values);
}

Tensor Trial::short_normal(const Shape& shape, double scale, double mean) {
  std::normal_distribution<float> distribution(static_cast<float>(mean), static_cast<float>(scale));
  std::vector<float> values(static_cast<size_t>(shape.count()));
  for (float& value : values) {
    const float drawn = distribution(generator_);
    uint32_t bits;
    std::memcpy(&bits, &drawn, sizeof bits);
    bits &= 0xffff0000u;
    std::memcpy(&value, &bits, sizeof value);
  }
  return floats(shape, values);
}

Tensor Trial::uniform(const Shape& shape, double low, double high) {
  std::uniform_real_distribution<float> distribution(static_cast<float>(low), static_cast<float>(high));
  std::vector<float> values(static_cast<size_t>(shape.count()));
  for (float& value : values) value = distribution(generator_);
  return floats(shape, values);
}

Tensor Trial::indices(const Shape& shape, int64_t limit) {
  std::vector<int32_t> values(static_cast<size_t>(shape.count()));
  for (int32_t& value : values) value = static_cast<int32_t>(generator_() % static_cast<uint64_t>(limit));
  return integers(shape, values);
}

Tensor Trial::bytes(DType dtype, const Shape& shape) {
  Tensor x;
  check(empty("conformance", dtype, shape, x));
  std::vector<unsigned char> values(static_cast<size_t>(x.bytes()));
  for (unsigned char& value : values) value = static_cast<unsigned char>(generator_() & 0x3f);
  copy_in(x.data(), values.data(), x.bytes());
  return x;
}

Tensor Trial::unaligned(const Tensor& x) {
  Tensor room;
  check(empty("conformance", x.dtype(), Shape{x.count() + 1}, room));
  const Tensor view = room.view(1, x.shape());
  std::vector<unsigned char> values(static_cast<size_t>(x.bytes()));
  copy_out(values.data(), x.data(), x.bytes());
  copy_in(view.data(), values.data(), x.bytes());
  return view;
}

void Trial::check(const Status& status) {
  if (status_.ok()) status_ = status;
}

void Trial::expect_refused(Status status, const std::string& words) {
  float waited = 0;
  copy_out(&waited, floats({1}, {0}).data(), sizeof waited);
  if (status.ok()) status = backend_status();
  if (status.code() == Code::argument && status.message() == words) return;
  check(failure(Code::internal, "'%s' where '%s' was expected", status.message().c_str(), words.c_str()));
}

void Trial::out(const Tensor& x) {
  if (!x.defined()) return check(failure(Code::internal, "a result is missing"));
  Output output{x.dtype(), x.shape().text(), std::vector<unsigned char>(static_cast<size_t>(x.bytes()))};
  copy_out(output.data.data(), x.data(), x.bytes());
  outputs_.push_back(std::move(output));
}

void Trial::out(double value) {
  Output output{DType::f64, "[]", std::vector<unsigned char>(sizeof value)};
  std::memcpy(output.data.data(), &value, sizeof value);
  outputs_.push_back(std::move(output));
}

std::vector<Result> compare(const Backend& device, const std::function<void(int)>& between) {
  std::vector<Result> results;
  std::map<std::string, size_t> index;
  for (const Case& test : cases()) {
    const auto [at, is_new] = index.try_emplace(test.op, results.size());
    if (is_new) results.push_back({test.op, test.tolerance, 0, 0, 0, {}});
    Result& result = results[at->second];
    result.cases += 1;
    compare_case(device, between, test, result);
  }
  for (const char* op : ops::ops_with_kernels()) {
    if (ops::supports(*device.kernels, op) && index.count(op) == 0) results.push_back({op, {}, 0, 0, 0, {"it has no case"}});
  }
  select_backend(device);
  Allocator::instance().empty_cache();
  select_backend(cpu_backend());
  return results;
}

int64_t print(const std::vector<Result>& results) {
  int64_t failed = 0;
  for (const Result& result : results) {
    const bool good = result.failures.empty();
    failed += !good;
    std::printf("%s %-22s %3lld cases, off by %.2g of %.2g allowed, %.2f s\n", good ? "ok  " : "FAIL", result.op.c_str(),
                static_cast<long long>(result.cases), result.worst, result.tolerance.value, result.seconds);
    for (const std::string& what : result.failures) std::printf("       %s\n", what.c_str());
  }
  std::printf("%zu ops, %lld failed\n", results.size(), static_cast<long long>(failed));
  return failed;
}

}  // namespace forge::conformance
