#include "addon/edge.h"
#include "ops/ops.h"

namespace forge::addon {

namespace {

using Product = Status (*)(const Tensor&, const Tensor&, bool, bool, const Tensor*, double, Tensor&);

Status multiply(Arguments& arguments, Product product, napi_value& result) {
  Tensor a, b, y;
  bool trans_a, trans_b;
  std::optional<Tensor> out;
  double beta = 0;
  FORGE_TRY(read(arguments, a));
  FORGE_TRY(read(arguments, b));
  FORGE_TRY(read(arguments, trans_a));
  FORGE_TRY(read(arguments, trans_b));
  FORGE_TRY(read(arguments, out));
  FORGE_TRY(read(arguments, beta));
  FORGE_TRY(invoke(arguments, product, a, b, trans_a, trans_b, out, beta, y));
  if (!out) return write(arguments, y, result);
  result = arguments.at(4);
  return {};
}

}  // namespace

Status matmul(Arguments& arguments, napi_value& result) { return multiply(arguments, ops::matmul, result); }

Status matmul_bf16(Arguments& arguments, napi_value& result) { return multiply(arguments, ops::matmul_bf16, result); }

Status cross_entropy_backward(Arguments& arguments, napi_value& result) {
  Tensor logits, targets, lse, d_logits;
  std::optional<Tensor> d_loss;
  double scale;
  int64_t ignore_index;
  bool in_place;
  FORGE_TRY(read(arguments, logits));
  FORGE_TRY(read(arguments, targets));
  FORGE_TRY(read(arguments, lse));
  FORGE_TRY(read(arguments, d_loss));
  FORGE_TRY(read(arguments, scale));
  FORGE_TRY(read(arguments, ignore_index));
  FORGE_TRY(read(arguments, in_place));
  FORGE_TRY(invoke(arguments, ops::cross_entropy_backward, logits, targets, lse, d_loss, scale, ignore_index,
                   in_place, d_logits));
  if (!in_place) return write(arguments, d_logits, result);
  result = arguments.at(0);
  return {};
}

}  // namespace forge::addon
