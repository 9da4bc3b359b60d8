#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {

static_assert(Permutation::rank == Shape::max_rank);

Status permute(const Tensor& x, const Shape& axes, Tensor& y) {
  const Shape& from = x.shape();
  Shape shape;
  shape.rank = from.rank;
  bool used[Shape::max_rank] = {};
  bool valid = axes.rank == from.rank;
  for (int i = 0; valid && i < axes.rank; ++i) {
    const int64_t axis = axes[i];
    valid = axis >= 0 && axis < from.rank && !used[axis];
    if (!valid) break;
    used[axis] = true;
    shape.dims[i] = from[static_cast<int>(axis)];
  }
  if (!valid) {
    return failure(Code::argument, "permute: %s is not an order of the axes of %s", axes.text().c_str(),
                   from.text().c_str());
  }
  Tensor result;
  FORGE_TRY(empty("permute", x.dtype(), shape, result));
  Permutation order;
  const int added = Permutation::rank - shape.rank;
  for (int i = 0; i < Permutation::rank; ++i) {
    order.lengths[i] = i < added ? 1 : shape[i - added];
    order.strides[i] = i < added ? 0 : from.count(static_cast<int>(axes[i - added]) + 1, from.rank);
  }
  if (result.count() > 0) kernels().permute(order, x.data(), result.data(), size_of(x.dtype()));
  y = std::move(result);
  return {};
}

}  // namespace forge::ops
