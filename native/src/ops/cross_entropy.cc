#include "core/backend.h"
#include "core/kernels.h"
#include "ops/checked_index.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status check(const char* op, const Tensor& logits, const Tensor& targets, int64_t ignore_index,
             CheckedIndex& checked) {
  FORGE_TRY(expect_f32(op, {&logits}));
  FORGE_TRY(expect_dtype(op, "targets", targets, DType::i32));
  const Shape& shape = logits.shape();
  if (shape.rank != 2 || !(targets.shape() == Shape{shape[0]}) || shape[1] == 0) {
    return failure(Code::shape, "%s: logits %s and targets %s; needs [N, V] and [N], V > 0", op, shape.text().c_str(),
                   targets.shape().text().c_str());
  }
  if (ignore_index != static_cast<int32_t>(ignore_index)) {
    return failure(Code::argument, "%s: ignoreIndex %lld is not an i32", op, static_cast<long long>(ignore_index));
  }
  return checked.check(op, targets, shape[1], ignore_index);
}

Status expect_rows(const char* op, const char* name, const Tensor* x, int64_t rows) {
  if (x == nullptr || x->shape() == Shape{rows}) return {};
  return failure(Code::shape, "%s: %s %s, needs [%lld]", op, name, x->shape().text().c_str(),
                 static_cast<long long>(rows));
}

}  // namespace

Status cross_entropy(const Tensor& logits, const Tensor& targets, int64_t ignore_index, Tensor& loss, Tensor& lse) {
  constexpr const char* op = "crossEntropy";
  CheckedIndex checked;
  FORGE_TRY(check(op, logits, targets, ignore_index, checked));
  const int64_t rows = logits.shape()[0];
  Tensor losses, log_sums;
  FORGE_TRY(empty(op, DType::f32, Shape{rows}, losses));
  FORGE_TRY(empty(op, DType::f32, Shape{rows}, log_sums));
  kernels().cross_entropy(logits.f32(), checked.i32(), losses.f32(), log_sums.f32(), rows, logits.shape()[1],
                          static_cast<int32_t>(ignore_index));
  loss = std::move(losses);
  lse = std::move(log_sums);
  return {};
}

Status cross_entropy_backward(const Tensor& logits, const Tensor& targets, const Tensor& lse, const Tensor* d_loss,
                              double scale, int64_t ignore_index, bool in_place, Tensor& d_logits) {
  constexpr const char* op = "crossEntropyBackward";
  CheckedIndex checked;
  FORGE_TRY(check(op, logits, targets, ignore_index, checked));
  FORGE_TRY(expect_f32(op, {&lse, d_loss}));
  const int64_t rows = logits.shape()[0];
  FORGE_TRY(expect_rows(op, "lse", &lse, rows));
  FORGE_TRY(expect_rows(op, "dLoss", d_loss, rows));
  Tensor result = logits;
  if (!in_place) FORGE_TRY(empty(op, DType::f32, logits.shape(), result));
  kernels().cross_entropy_backward(logits.f32(), checked.i32(), lse.f32(), d_loss == nullptr ? nullptr : d_loss->f32(),
                                   static_cast<float>(scale), result.f32(), rows, logits.shape()[1],
                                   static_cast<int32_t>(ignore_index));
  d_logits = std::move(result);
  return {};
}

Status target_weight(const Tensor& targets, int64_t ignore_index, Tensor& weight) {
  constexpr const char* op = "targetWeight";
  FORGE_TRY(expect_dtype(op, "targets", targets, DType::i32));
  if (ignore_index != static_cast<int32_t>(ignore_index)) {
    return failure(Code::argument, "%s: ignoreIndex %lld is not an i32", op, static_cast<long long>(ignore_index));
  }
  Tensor result;
  FORGE_TRY(empty(op, DType::f64, Shape{1}, result));
  const auto ignore = static_cast<int32_t>(ignore_index);
  if (on_host()) {
    int64_t count = 0;
    for (int64_t i = 0; i < targets.count(); ++i) count += targets.i32()[i] != ignore;
    *result.f64() = 1.0 / static_cast<double>(count);
  } else {
    kernels().target_weight(targets.i32(), targets.count(), ignore, result.f64());
  }
  weight = std::move(result);
  return {};
}

}  // namespace forge::ops
