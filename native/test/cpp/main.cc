#include <cstring>

#include "check.h"

namespace forge::test {
namespace {

int failures = 0;

}  // namespace

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

void report(const char* file, int line, const std::string& what) {
  ++failures;
  if (failures <= 50) std::printf("  %s:%d [%s]: %s\n", file, line, isa_name(), what.c_str());
}

void check_fails(const char* file, int line, const Status& status, Code code,
                 std::initializer_list<const char*> texts) {
  if (status.code() != code) report(file, line, std::string("got ") + status.code_name() + ": " + status.message());
  for (const char* text : texts) {
    if (status.message().find(text) == std::string::npos) report(file, line, "no '" + std::string(text) + "' in: " + status.message());
  }
}

std::vector<double> values(const Tensor& x) {
  std::vector<double> result;
  for (int64_t i = 0; i < x.count(); ++i) result.push_back(x.dtype() == DType::i32 ? x.i32()[i] : x.f32()[i]);
  return result;
}

void check_close(const char* file, int line, const Tensor& actual, const std::vector<double>& expected,
                 double tolerance) {
  const std::vector<double> got = values(actual);
  if (got.size() != expected.size()) {
    return report(file, line, actual.shape().text() + " instead of " + std::to_string(expected.size()) + " elements");
  }
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i]) && std::isnan(expected[i])) continue;
    if (got[i] == expected[i]) continue;  // infinities
    if (!(std::fabs(got[i] - expected[i]) <= tolerance * (1 + std::fabs(expected[i])))) {
      return report(file, line, "element " + std::to_string(i) + " of " + actual.shape().text() + ": " +
                                    std::to_string(got[i]) + ", expected " + std::to_string(expected[i]));
    }
  }
}

void for_each_isa(const std::function<void()>& f) {
  const std::string before = isa_name();
  for (const char* name : {"portable", "avx2", "avx512", "avx512vnni", "avx512bf16"}) {
    if (select_isa(name)) f();
  }
  select_isa(before.c_str());
}

Tensor random_tensor(const Shape& shape, unsigned seed, double scale) {
  Tensor x;
  CHECK_OK(empty("test", DType::f32, shape, x));
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, static_cast<float>(scale));
  for (int64_t i = 0; i < x.count(); ++i) x.f32()[i] = normal(generator);
  return x;
}

Tensor tensor_of(const Shape& shape, const std::vector<double>& elements) {
  Tensor x;
  CHECK_OK(empty("test", DType::f32, shape, x));
  CHECK(static_cast<size_t>(x.count()) == elements.size());
  for (int64_t i = 0; i < x.count(); ++i) x.f32()[i] = static_cast<float>(elements[static_cast<size_t>(i)]);
  return x;
}

Tensor tensor_of_i32(const Shape& shape, const std::vector<int32_t>& elements) {
  Tensor x;
  CHECK_OK(empty("test", DType::i32, shape, x));
  CHECK(static_cast<size_t>(x.count()) == elements.size());
  for (int64_t i = 0; i < x.count(); ++i) x.i32()[i] = elements[static_cast<size_t>(i)];
  return x;
}

std::vector<double> finite_difference(const Tensor& x, double h, const std::function<double()>& f) {
  std::vector<double> slopes;
  for (int64_t i = 0; i < x.count(); ++i) {
    const float before = x.f32()[i];
    const float above = before + static_cast<float>(h), below = before - static_cast<float>(h);
    x.f32()[i] = above;
    const double high = f();
    x.f32()[i] = below;
    const double low = f();
    x.f32()[i] = before;
    slopes.push_back((high - low) / (double{above} - double{below}));
  }
  return slopes;
}

double inner(const Tensor& a, const Tensor& b) {
  double total = 0;
  for (int64_t i = 0; i < a.count(); ++i) total += double{a.f32()[i]} * double{b.f32()[i]};
  return total;
}

int run(const char* file) {
  int count = 0;
  for (const Case& test : cases()) {
    if (file != nullptr && std::strstr(test.file, file) == nullptr) continue;
    const int before = failures;
    test.body();
    ++count;
    std::printf("%s %s\n", failures == before ? "ok  " : "FAIL", test.name);
  }
  std::printf("%d tests, %d failures\n", count, failures);
  return failures > 0 || count == 0 ? 1 : 0;
}

}  // namespace forge::test

int main(int count, char** arguments) { return forge::test::run(count > 1 ? arguments[1] : nullptr); }
