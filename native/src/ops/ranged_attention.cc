#include "core/allocator.h"
#include "core/backend.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status check_ranges(const char* op, const Tensor& ranges, const AttentionShape& s) {
  FORGE_TRY(expect_dtype(op, "ranges", ranges, DType::i32));
  const Shape& shape = ranges.shape();
  if (shape.rank != 3 || shape[0] != s.queries || shape[2] != 2) {
    return failure(Code::shape, "%s: ranges %s, needs [%lld, R, 2]", op, shape.text().c_str(),
                   static_cast<long long>(s.queries));
  }
  std::vector<int32_t> list(static_cast<size_t>(ranges.count()));
  if (!list.empty()) copy_out(list.data(), ranges.data(), ranges.bytes());
  const auto count = static_cast<size_t>(shape[1]);
  for (size_t t = 0; t < static_cast<size_t>(s.queries); ++t) {
    int64_t before = 0;
    for (size_t r = 0; r < count; ++r) {
      const int64_t begin = list[(t * count + r) * 2], end = list[(t * count + r) * 2 + 1];
      if (begin < before || end < begin || end > s.keys) {
        return failure(Code::argument, "%s: range %zu of query %zu is [%lld, %lld); needs ascending ranges in 0 to %lld",
                       op, r, t, static_cast<long long>(begin), static_cast<long long>(end),
                       static_cast<long long>(s.keys));
      }
      before = end;
    }
  }
  return {};
}

Status plan(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& ranges, double scale,
            AttentionShape& s) {
  FORGE_TRY(expect_f32(op, {&q, &k, &v}));
  const Shape &qs = q.shape(), &ks = k.shape();
  if (qs.rank != 4 || ks.rank != 4 || !(ks == v.shape()) || qs[0] != ks[0] || qs[3] != ks[3] || ks[2] < 1 ||
      qs[2] % ks[2] != 0) {
    return failure(Code::shape, "%s: q %s, k %s, v %s; needs [B, T, Hq, D], [B, S, Hkv, D] twice, Hq a multiple of Hkv",
                   op, qs.text().c_str(), ks.text().c_str(), v.shape().text().c_str());
  }
  s = {qs[0], qs[1], ks[1], qs[2], ks[2], qs[3], ks[1], false, 0, static_cast<float>(scale)};
  return check_ranges(op, ranges, s);
}

}  // namespace

Status ranged_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& ranges, double scale, Tensor& o,
                        Tensor& lse) {
  constexpr const char* op = "rangedAttention";
  AttentionShape s{};
  FORGE_TRY(plan(op, q, k, v, ranges, scale, s));
  Tensor result, log_sums;
  Scratch scratch;
  FORGE_TRY(empty(op, DType::f32, q.shape(), result));
  FORGE_TRY(empty(op, DType::f32, {s.batch, s.q_heads, s.queries}, log_sums));
  FORGE_TRY(scratch.reserve(op, kernels().ranged_attention_scratch(s)));
  kernels().ranged_attention(s, ranges.i32(), ranges.shape()[1], q.f32(), k.f32(), v.f32(), result.f32(),
                             log_sums.f32(), scratch.f32());
  o = std::move(result);
  lse = std::move(log_sums);
  return {};
}

Status ranged_attention_backward(const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& o,
                                 const Tensor& lse, const Tensor& ranges, double scale, Tensor& dq, Tensor& dk,
                                 Tensor& dv) {
  constexpr const char* op = "rangedAttentionBackward";
  AttentionShape s{};
  FORGE_TRY(plan(op, q, k, v, ranges, scale, s));
  FORGE_TRY(expect_f32(op, {&d_o, &o, &lse}));
  FORGE_TRY(expect_same_shape(op, "dO", d_o, "q", q));
  FORGE_TRY(expect_same_shape(op, "o", o, "q", q));
  if (!(lse.shape() == Shape{s.batch, s.q_heads, s.queries})) {
    return failure(Code::shape, "%s: lse %s does not fit q %s", op, lse.shape().text().c_str(), q.shape().text().c_str());
  }
  Tensor of_q, of_k, of_v;
  FORGE_TRY(empty(op, DType::f32, q.shape(), of_q));
  FORGE_TRY(empty(op, DType::f32, k.shape(), of_k));
  FORGE_TRY(empty(op, DType::f32, v.shape(), of_v));
  kernels().ranged_attention_backward(s, ranges.i32(), ranges.shape()[1], d_o.f32(), q.f32(), k.f32(), v.f32(), o.f32(),
                                      lse.f32(), of_q.f32(), of_k.f32(), of_v.f32());
  dq = std::move(of_q);
  dk = std::move(of_k);
  dv = std::move(of_v);
  return {};
}

}  // namespace forge::ops
