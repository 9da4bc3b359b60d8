#include <algorithm>
#include <cmath>

#include "core/allocator.h"
#include "core/kernels.h"
#include "ops/ops.h"

/**
 * Orthogonalisation by a polynomial: X ← aX + (b·XXᵀ + c·(XXᵀ)²)X moves every singular value towards 1 and leaves the
 * singular vectors alone. The smaller of XXᵀ and XᵀX is formed; both give the same X.
 */
namespace forge::ops {
namespace {

constexpr double quintic[] = {3.4445, -4.7750, 2.0315};  // Jordan et al. 2024, "Muon": steepest at 0 that stays near 1

Status multiply(const char* op, const Tensor& a, const Tensor& b, bool trans_a, bool trans_b, float beta, Tensor& c) {
  const Shape &as = a.shape(), &bs = b.shape();
  Gemm g{};
  g.m = c.shape()[0];
  g.n = c.shape()[1];
  g.k = trans_a ? as[0] : as[1];
  g.a = a.f32();
  g.lda = as[1];
  g.trans_a = trans_a;
  g.b = b.f32();
  g.ldb = bs[1];
  g.trans_b = trans_b;
  g.c = c.f32();
  g.ldc = g.n;
  g.beta = beta;
  g.batch = 1;
  Scratch scratch;
  FORGE_TRY(scratch.reserve(op, kernels().gemm_scratch(g)));
  kernels().gemm(g, scratch.f32());
  return {};
}

Status expect_matrix(const char* op, const Tensor& x) {
  FORGE_TRY(expect_f32(op, {&x}));
  if (x.shape().rank == 2) return {};
  return failure(Code::shape, "%s: %s, needs [M, N]", op, x.shape().text().c_str());
}

/** y = the orthogonalised x; both of one shape. */
Status orthogonalise(const char* op, const Tensor& x, int64_t steps, Tensor& y) {
  if (steps < 0 || steps > 100) {
    return failure(Code::argument, "%s: %lld steps, needs 0 to 100", op, static_cast<long long>(steps));
  }
  const Shape& shape = x.shape();
  const bool is_tall = shape[0] > shape[1];
  const int64_t n = std::min(shape[0], shape[1]);
  Tensor now, next, gram, square;
  FORGE_TRY(empty(op, DType::f32, shape, now));
  FORGE_TRY(empty(op, DType::f32, shape, next));
  FORGE_TRY(empty(op, DType::f32, {n, n}, gram));
  FORGE_TRY(empty(op, DType::f32, {n, n}, square));
  const Kernels& k = kernels();
  const double length = std::sqrt(k.dot(x.f32(), x.f32(), x.count()));
  k.unary(Unary::mul_scalar, x.f32(), static_cast<float>(1 / (length + 1e-7)), now.f32(), x.count());
  for (int64_t step = 0; step < steps && x.count() > 0; ++step) {
    FORGE_TRY(multiply(op, now, now, is_tall, !is_tall, 0, gram));
    FORGE_TRY(multiply(op, gram, gram, false, false, 0, square));
    k.unary(Unary::mul_scalar, square.f32(), static_cast<float>(quintic[2]), square.f32(), n * n);
    k.axpy(square.f32(), static_cast<float>(quintic[1]), gram.f32(), n * n);
    k.unary(Unary::mul_scalar, now.f32(), static_cast<float>(quintic[0]), next.f32(), now.count());
    FORGE_TRY(is_tall ? multiply(op, now, square, false, false, 1, next) : multiply(op, square, now, false, false, 1, next));
    std::swap(now, next);
  }
  y = std::move(now);
  return {};
}

}  // namespace

Status newton_schulz(const Tensor& x, int64_t steps, Tensor& y) {
  FORGE_TRY(expect_matrix("newtonSchulz", x));
  return orthogonalise("newtonSchulz", x, steps, y);
}

Status muon(const Tensor& param, const Tensor& grad, const Tensor& m, double lr, double momentum, bool nesterov,
            double weight_decay, int64_t steps, double grad_scale) {
  constexpr const char* op = "muon";
  FORGE_TRY(expect_matrix(op, param));
  FORGE_TRY(expect_f32(op, {&grad, &m}));
  FORGE_TRY(expect_same_shape(op, "param", param, "grad", grad));
  FORGE_TRY(expect_same_shape(op, "param", param, "m", m));
  if (!(momentum >= 0 && momentum < 1)) {
    return failure(Code::argument, "%s: momentum %g, needs 0 to below 1", op, momentum);
  }
  const Kernels& k = kernels();
  const int64_t n = param.count();
  const float keep = static_cast<float>(momentum), rest = static_cast<float>((1 - momentum) * grad_scale);
  Tensor update, direction;
  FORGE_TRY(empty(op, DType::f32, param.shape(), update));
  k.unary(Unary::mul_scalar, m.f32(), keep, update.f32(), n);  // the new momentum, kept aside until nothing can fail
  k.axpy(update.f32(), rest, grad.f32(), n);
  Tensor velocity = update;
  if (nesterov) {
    FORGE_TRY(empty(op, DType::f32, param.shape(), velocity));
    k.unary(Unary::mul_scalar, update.f32(), keep, velocity.f32(), n);
    k.axpy(velocity.f32(), rest, grad.f32(), n);
  }
  FORGE_TRY(orthogonalise(op, velocity, steps, direction));
  k.unary(Unary::mul_scalar, update.f32(), 1.0f, m.f32(), n);
  const double rows = static_cast<double>(param.shape()[0]), columns = static_cast<double>(param.shape()[1]);
  const double scale = n == 0 ? 1 : std::sqrt(std::max(1.0, rows / columns));
  k.unary(Unary::mul_scalar, param.f32(), static_cast<float>(1 - lr * weight_decay), param.f32(), n);
  k.axpy(param.f32(), static_cast<float>(-lr * scale), direction.f32(), n);
  return {};
}

}  // namespace forge::ops
