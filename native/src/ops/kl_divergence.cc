#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status check(const char* op, const Tensor& targets, const Tensor& logits) {
  FORGE_TRY(expect_f32(op, {&targets, &logits}));
  FORGE_TRY(expect_same_shape(op, "targets", targets, "logits", logits));
  if (logits.shape().rank == 2 && logits.shape()[1] > 0) return {};
  return failure(Code::shape, "%s: %s, needs [N, V], V > 0", op, logits.shape().text().c_str());
}

}  // namespace

Status kl_divergence(const Tensor& targets, const Tensor& logits, Tensor& loss, Tensor& lse_t, Tensor& lse_z) {
  constexpr const char* op = "klDivergence";
  FORGE_TRY(check(op, targets, logits));
  const Shape rows{logits.shape()[0]};
  Tensor losses, of_targets, of_logits;
  FORGE_TRY(empty(op, DType::f32, rows, losses));
  FORGE_TRY(empty(op, DType::f32, rows, of_targets));
  FORGE_TRY(empty(op, DType::f32, rows, of_logits));
  kernels().kl_divergence(targets.f32(), logits.f32(), losses.f32(), of_targets.f32(), of_logits.f32(), rows[0],
                          logits.shape()[1]);
  loss = std::move(losses);
  lse_t = std::move(of_targets);
  lse_z = std::move(of_logits);
  return {};
}

Status kl_divergence_backward(const Tensor& targets, const Tensor& logits, const Tensor& loss, const Tensor& lse_t,
                              const Tensor& lse_z, const Tensor* d_loss, double scale, Tensor& d_targets,
                              Tensor& d_logits) {
  constexpr const char* op = "klDivergenceBackward";
  FORGE_TRY(check(op, targets, logits));
  FORGE_TRY(expect_f32(op, {&loss, &lse_t, &lse_z, d_loss}));
  const Shape rows{logits.shape()[0]};
  for (const Tensor* x : {&loss, &lse_t, &lse_z, d_loss}) {
    if (x != nullptr && !(x->shape() == rows)) {
      return failure(Code::shape, "%s: %s per row, needs %s", op, x->shape().text().c_str(), rows.text().c_str());
    }
  }
  Tensor of_targets, of_logits;
  FORGE_TRY(empty(op, DType::f32, logits.shape(), of_targets));
  FORGE_TRY(empty(op, DType::f32, logits.shape(), of_logits));
  kernels().kl_divergence_backward(targets.f32(), logits.f32(), loss.f32(), lse_t.f32(), lse_z.f32(),
                                   d_loss == nullptr ? nullptr : d_loss->f32(), static_cast<float>(scale),
                                   of_targets.f32(), of_logits.f32(), rows[0], logits.shape()[1]);
  d_targets = std::move(of_targets);
  d_logits = std::move(of_logits);
  return {};
}

}  // namespace forge::ops
