#pragma once
#include <cmath>
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "core/kernels.h"
#include "core/tensor.h"

/** A minimal test runner: TEST(name) { CHECK(...); }. main.cc runs all, or those of one file. */
namespace forge::test {

struct Case {
  const char* file;
  const char* name;
  void (*body)();
};

std::vector<Case>& cases();
/** Counts a failure and prints where. */
void report(const char* file, int line, const std::string& what);

struct Registration {
  Registration(const char* file, const char* name, void (*body)()) { cases().push_back({file, name, body}); }
};

#define TEST(name)                                                                                \
  static void name();                                                                             \
  static const ::forge::test::Registration name##_registration(__FILE__, #name, name);            \
  static void name()

#define CHECK(condition)                                                                          \
  do {                                                                                            \
    if (!(condition)) ::forge::test::report(__FILE__, __LINE__, #condition);                      \
  } while (0)

#define CHECK_OK(expression)                                                                      \
  do {                                                                                            \
    if (const ::forge::Status status_ = (expression); !status_.ok()) {                            \
      ::forge::test::report(__FILE__, __LINE__, status_.message());                               \
    }                                                                                             \
  } while (0)

/** The status has this code and its message contains all the texts. */
void check_fails(const char* file, int line, const Status& status, Code code, std::initializer_list<const char*> texts);
#define CHECK_FAILS(expression, code, ...) ::forge::test::check_fails(__FILE__, __LINE__, expression, code, {__VA_ARGS__})

/** |actual − expected| ≤ tolerance·(1 + |expected|) in every element; NaN equals NaN. */
void check_close(const char* file, int line, const Tensor& actual, const std::vector<double>& expected,
                 double tolerance);
#define CHECK_CLOSE(actual, expected, tolerance) \
  ::forge::test::check_close(__FILE__, __LINE__, actual, expected, tolerance)

/** f() once per instruction set that this machine has. */
void for_each_isa(const std::function<void()>& f);

/** Normal numbers, the same for the same seed. */
Tensor random_tensor(const Shape& shape, unsigned seed, double scale = 1.0);
Tensor tensor_of(const Shape& shape, const std::vector<double>& values);
Tensor tensor_of_i32(const Shape& shape, const std::vector<int32_t>& values);
std::vector<double> values(const Tensor& x);

/** (f(x + h·e_i) − f(x − h·e_i)) / 2h for every element i of x. */
std::vector<double> finite_difference(const Tensor& x, double h, const std::function<double()>& f);
/** Σ a·b in f64. */
double inner(const Tensor& a, const Tensor& b);

}  // namespace forge::test
