#include "core/kernels.h"
#include "cpu/math.h"

namespace forge::FORGE_ISA {
namespace {

template <class F>
void combine(const float* a, const float* b, float* y, int64_t n, int64_t nb, const F& f) {
  if (nb == n) {
    map(n, [&](auto get, auto put) { put(y, f(get(a), get(b))); });
  } else if (nb == 1) {
    const vf s = splat(b[0]);
    map(n, [&](auto get, auto put) { put(y, f(get(a), s)); });
  } else if (nb > 0) {
    const int64_t rows_per_piece = max64(1, grain / nb);
    parallel_ranges(n / nb, rows_per_piece, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float* ar = a + row * nb;
        float* yr = y + row * nb;
        int64_t i = 0;
        for (; i + lanes <= nb; i += lanes) store(yr + i, f(load(ar + i), load(b + i)));
        if (i < nb) store_n(yr + i, f(load_n(ar + i, nb - i), load_n(b + i, nb - i)), nb - i);
      }
    });
  }
}

template <class F>
void apply(const float* x, float* y, int64_t n, const F& f) {
  map(n, [&](auto get, auto put) { put(y, f(get(x))); });
}

template <class F>
void apply2(const float* x, const float* dy, float* dx, int64_t n, const F& f) {
  map(n, [&](auto get, auto put) { put(dx, f(get(x), get(dy))); });
}

}  // namespace

void binary(Binary op, const float* a, const float* b, float* y, int64_t n, int64_t nb) {
  switch (op) {
    case Binary::add: return combine(a, b, y, n, nb, [](vf p, vf q) { return p + q; });
    case Binary::sub: return combine(a, b, y, n, nb, [](vf p, vf q) { return p - q; });
    case Binary::mul: return combine(a, b, y, n, nb, [](vf p, vf q) { return p * q; });
    case Binary::div: return combine(a, b, y, n, nb, [](vf p, vf q) { return p / q; });
  }
}

void unary(Unary op, const float* x, float s, float* y, int64_t n) {
  const vf zero = splat(0.0f), one = splat(1.0f), scalar = splat(s);
  switch (op) {
    case Unary::add_scalar: return apply(x, y, n, [=](vf v) { return v + scalar; });
    case Unary::mul_scalar: return apply(x, y, n, [=](vf v) { return v * scalar; });
    case Unary::neg: return apply(x, y, n, [](vf v) { return -v; });
    case Unary::exp: return apply(x, y, n, [](vf v) { return vexp(v); });
    case Unary::log: return apply(x, y, n, [](vf v) { return vlog(v); });
    case Unary::tanh: return apply(x, y, n, [](vf v) { return vtanh(v); });
    case Unary::sigmoid: return apply(x, y, n, [](vf v) { return vsigmoid(v); });
    case Unary::silu: return apply(x, y, n, [](vf v) { return v * vsigmoid(v); });
    // Comparisons are written so that NaN stays NaN.
    case Unary::relu: return apply(x, y, n, [=](vf v) { return v < zero ? zero : v; });
    case Unary::relu2: return apply(x, y, n, [=](vf v) { return v < zero ? zero : v * v; });
    case Unary::sqrt: return apply(x, y, n, [](vf v) { return vsqrt(v); });
    case Unary::abs: return apply(x, y, n, [](vf v) { return (vf)((vi)v & 0x7fffffff); });
    case Unary::sign:
      return apply(x, y, n, [=](vf v) {
        const vf positive = v > zero ? one : v;
        return v < zero ? -one : positive;
      });
  }
}

void unary_backward(UnaryBackward op, const float* saved, const float* dy, float* dx, int64_t n) {
  const vf zero = splat(0.0f);
  switch (op) {
    case UnaryBackward::silu:
      return apply2(saved, dy, dx, n, [](vf x, vf d) {
        const vf s = vsigmoid(x);
        return d * s * (1.0f + x * (1.0f - s));
      });
    case UnaryBackward::sigmoid: return apply2(saved, dy, dx, n, [](vf y, vf d) { return d * y * (1.0f - y); });
    case UnaryBackward::tanh: return apply2(saved, dy, dx, n, [](vf y, vf d) { return d * (1.0f - y * y); });
    case UnaryBackward::relu: return apply2(saved, dy, dx, n, [=](vf x, vf d) { return x > zero ? d : zero; });
    case UnaryBackward::relu2:
      return apply2(saved, dy, dx, n, [=](vf x, vf d) { return x > zero ? 2.0f * x * d : zero; });
  }
}

void axpy(float* y, float alpha, const float* x, int64_t n) {
  const vf a = splat(alpha);
  map(n, [&](auto get, auto put) { put(y, get(y) + a * get(x)); });
}

}  // namespace forge::FORGE_ISA
