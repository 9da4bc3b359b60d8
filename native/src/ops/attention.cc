#include "core/allocator.h"
#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

constexpr int64_t largest_dim = 256;  // one pass of the register tile

Status plan(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, bool causal, int64_t window, double scale,
            int64_t kv_length, bool may_round, AttentionShape& s) {
  FORGE_TRY(expect_f32(op, {&q, &k, &v}));
  const Shape &qs = q.shape(), &ks = k.shape();
  const bool fits = qs.rank == 4 && ks.rank == 4 && ks == v.shape() && qs[0] == ks[0] && qs[3] == ks[3] && ks[2] > 0 &&
                    qs[2] % ks[2] == 0;
  if (!fits || qs[3] < 1 || qs[3] > largest_dim) {
    return failure(Code::shape,
                   "%s: q %s, k %s, v %s; needs [B, T, Hq, D], [B, S, Hkv, D] twice, Hq a multiple of Hkv, D <= 256", op,
                   qs.text().c_str(), ks.text().c_str(), v.shape().text().c_str());
  }
  const int64_t keys = kv_length == -1 ? ks[1] : kv_length;
  if (keys < 0 || keys > ks[1] || window < 0 || (window > 0 && !causal)) {
    return failure(Code::argument, "%s: kvLength %lld (0 to %lld), window %lld (>= 0, needs causal)", op,
                   static_cast<long long>(kv_length), static_cast<long long>(ks[1]), static_cast<long long>(window));
  }
  s = {qs[0], qs[1], keys, qs[2], ks[2], qs[3], ks[1], causal, window, static_cast<float>(scale),
       may_round};
  return {};
}

Shape lse_shape(const AttentionShape& s) { return Shape{s.batch, s.q_heads, s.queries}; }

}  // namespace

Status attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal, int64_t window, double scale,
                 int64_t kv_length, bool may_round, Tensor& o, Tensor& lse) {
  AttentionShape s{};
  FORGE_TRY(plan("attention", q, k, v, causal, window, scale, kv_length, may_round, s));
  Tensor result, log_sums;
  Scratch scratch;
  FORGE_TRY(empty("attention", DType::f32, q.shape(), result));
  FORGE_TRY(empty("attention", DType::f32, lse_shape(s), log_sums));
  if (result.count() > 0) {
    FORGE_TRY(scratch.reserve("attention", kernels().attention_scratch(s)));
    kernels().attention(s, q.f32(), k.f32(), v.f32(), result.f32(), log_sums.f32(), scratch.f32());
  }
  o = std::move(result);
  lse = std::move(log_sums);
  return {};
}

Status attention_backward(const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& o,
                          const Tensor& lse, bool causal, int64_t window, double scale, bool may_round, Tensor& dq,
                          Tensor& dk, Tensor& dv) {
  constexpr const char* op = "attentionBackward";
  AttentionShape s{};
  FORGE_TRY(plan(op, q, k, v, causal, window, scale, -1, may_round, s));
  FORGE_TRY(expect_f32(op, {&d_o, &o, &lse}));
  FORGE_TRY(expect_same_shape(op, "dO", d_o, "q", q));
  FORGE_TRY(expect_same_shape(op, "o", o, "q", q));
  if (!(lse.shape() == lse_shape(s))) {
    return failure(Code::shape, "%s: lse %s, needs %s", op, lse.shape().text().c_str(), lse_shape(s).text().c_str());
  }
  Tensor q_gradient, k_gradient, v_gradient;
  Scratch scratch;
  FORGE_TRY(empty(op, DType::f32, q.shape(), q_gradient));
  FORGE_TRY(empty(op, DType::f32, k.shape(), k_gradient));
  FORGE_TRY(empty(op, DType::f32, v.shape(), v_gradient));
  FORGE_TRY(scratch.reserve(op, kernels().attention_backward_scratch(s)));
  kernels().attention_backward(s, d_o.f32(), q.f32(), k.f32(), v.f32(), o.f32(), lse.f32(), q_gradient.f32(),
                               k_gradient.f32(), v_gradient.f32(), scratch.f32());
  dq = std::move(q_gradient);
  dk = std::move(k_gradient);
  dv = std::move(v_gradient);
  return {};
}

}  // namespace forge::ops
