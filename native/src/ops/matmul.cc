#include "core/allocator.h"
#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status mismatch(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b) {
  return failure(Code::shape, "matmul: a %s%s and b %s%s do not fit", a.shape().text().c_str(),
                 trans_a ? " transposed" : "", b.shape().text().c_str(), trans_b ? " transposed" : "");
}

/** Sizes and strides of the product and the shape of its result; pointers stay null. */
Status plan(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b, Gemm& g, Shape& shape) {
  const Shape &as = a.shape(), &bs = b.shape();
  // With an untransposed a and a plain matrix b, all leading axes of a are rows.
  const bool flat = bs.rank == 2 && as.rank >= 1 && !trans_a;
  const bool plain = as.rank == 2 && bs.rank == 2;
  const bool batched = as.rank == 3 && bs.rank == 3 && as[0] == bs[0];
  if (!flat && !plain && !batched) return mismatch(a, b, trans_a, trans_b);
  const int64_t a_columns = as.last(), a_rows = batched ? as[1] : as.count(0, as.rank - 1);
  const int64_t b_columns = bs.last(), b_rows = bs[bs.rank - 2];
  const int64_t b_k = trans_b ? b_columns : b_rows;
  g.m = trans_a ? a_columns : a_rows;
  g.k = trans_a ? a_rows : a_columns;
  g.n = trans_b ? b_rows : b_columns;
  if (g.k != b_k) return mismatch(a, b, trans_a, trans_b);
  g.lda = a_columns;
  g.ldb = b_columns;
  g.ldc = g.n;
  g.trans_a = trans_a;
  g.trans_b = trans_b;
  g.batch = batched ? as[0] : 1;
  g.stride_a = g.m * g.k;
  g.stride_b = g.k * g.n;
  g.stride_c = g.m * g.n;
  if (batched) shape = Shape{as[0], g.m, g.n};
  else if (flat) shape = as.with_last(g.n);
  else shape = Shape{g.m, g.n};
  return {};
}

/** A dense product by one of the kernels of a backend. */
Status multiply(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b, const Tensor* out, double beta,
                int64_t (*scratch_bytes)(const Gemm&), void (*gemm)(const Gemm&, float*), Tensor& y) {
  FORGE_TRY(expect_f32("matmul", {&a, &b, out}));
  Gemm g{};
  Shape shape;
  FORGE_TRY(plan(a, b, trans_a, trans_b, g, shape));
  Tensor result;
  if (out == nullptr) {
    FORGE_TRY(empty("matmul", DType::f32, shape, result));
  } else {
    if (!(out->shape() == shape)) {
      return failure(Code::shape, "matmul: out %s, needs %s (a %s, b %s)", out->shape().text().c_str(),
                     shape.text().c_str(), a.shape().text().c_str(), b.shape().text().c_str());
    }
    if (out->overlaps(a) || out->overlaps(b)) return failure(Code::argument, "matmul: out shares elements with a or b");
    result = *out;
  }
  g.a = a.f32();
  g.b = b.f32();
  g.c = result.f32();
  g.beta = out == nullptr ? 0.0f : static_cast<float>(beta);
  Scratch scratch;
  FORGE_TRY(scratch.reserve("matmul", scratch_bytes(g)));
  gemm(g, scratch.f32());
  y = std::move(result);
  return {};
}

}  // namespace

Status matmul(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b, const Tensor* out, double beta, Tensor& y) {
  return multiply(a, b, trans_a, trans_b, out, beta, kernels().gemm_scratch, kernels().gemm, y);
}

Status matmul_bf16(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b, const Tensor* out, double beta,
                   Tensor& y) {
  return multiply(a, b, trans_a, trans_b, out, beta, kernels().gemm_bf16_scratch, kernels().gemm_bf16, y);
}

}  // namespace forge::ops
