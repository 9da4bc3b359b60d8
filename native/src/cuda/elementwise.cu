#include "cuda/launch.h"
#include "cuda/table.h"

namespace forge::cuda {
namespace {

__device__ inline float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }

__device__ inline float apply(Binary op, float a, float b) {
  switch (op) {
    case Binary::add: return a + b;
    case Binary::sub: return a - b;
    case Binary::mul: return a * b;
    case Binary::div: return a / b;
  }
  return 0.0f;
}

__device__ inline float apply(Unary op, float x, float s) {
  switch (op) {
    case Unary::add_scalar: return x + s;
    case Unary::mul_scalar: return x * s;
    case Unary::neg: return -x;
    case Unary::exp: return expf(x);
    case Unary::log: return logf(x);
    case Unary::tanh: return tanhf(x);
    case Unary::sigmoid: return logistic(x);
    case Unary::silu: return x * logistic(x);
    // Comparisons are written so that NaN stays NaN.
    case Unary::relu: return x < 0.0f ? 0.0f : x;
    case Unary::relu2: return x < 0.0f ? 0.0f : x * x;
    case Unary::sqrt: return sqrtf(x);
    case Unary::abs: return fabsf(x);
    case Unary::sign: return x < 0.0f ? -1.0f : (x > 0.0f ? 1.0f : x);
  }
  return 0.0f;
}

__device__ inline float slope(UnaryBackward op, float saved, float d) {
  switch (op) {
    case UnaryBackward::silu: {
      const float s = logistic(saved);
      return d * s * (1.0f + saved * (1.0f - s));
    }
    case UnaryBackward::sigmoid: return d * saved * (1.0f - saved);
    case UnaryBackward::tanh: return d * (1.0f - saved * saved);
    case UnaryBackward::relu: return saved > 0.0f ? d : 0.0f;
    case UnaryBackward::relu2: return saved > 0.0f ? 2.0f * saved * d : 0.0f;
  }
  return 0.0f;
}

}  // namespace

void binary(Binary op, const float* a, const float* b, float* y, int64_t n, int64_t nb) {
  if (nb == n) for_each("binary", n, [=] __device__(int64_t i) { y[i] = apply(op, a[i], b[i]); });
  else if (nb == 1) for_each("binary", n, [=] __device__(int64_t i) { y[i] = apply(op, a[i], b[0]); });
  else if (nb > 0) for_each("binary", n, [=] __device__(int64_t i) { y[i] = apply(op, a[i], b[i % nb]); });
}

void unary(Unary op, const float* x, float s, float* y, int64_t n) {
  for_each("unary", n, [=] __device__(int64_t i) { y[i] = apply(op, x[i], s); });
}

void unary_backward(UnaryBackward op, const float* saved, const float* dy, float* dx, int64_t n) {
  for_each("unary_backward", n, [=] __device__(int64_t i) { dx[i] = slope(op, saved[i], dy[i]); });
}

void axpy(float* y, float alpha, const float* x, int64_t n) {
  for_each("axpy", n, [=] __device__(int64_t i) { y[i] += alpha * x[i]; });
}

}  // namespace forge::cuda
