#include <cstring>

#include "core/parallel.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

/** A permutation with leading axes of length 1 added, strides in elements. */
struct Walk {
  int64_t lengths[Shape::max_rank];
  int64_t strides[Shape::max_rank];
};

template <class T>
void gather(const Walk& w, const T* x, T* y) {
  const int64_t inner = w.lengths[5], inner_stride = w.strides[5];
  const int64_t rows_outer = w.lengths[0] * w.lengths[1] * w.lengths[2], rows_inner = w.lengths[3] * w.lengths[4];
  parallel_for(rows_outer, [&](int64_t outer, int) {
    const int64_t i2 = outer % w.lengths[2], i1 = outer / w.lengths[2] % w.lengths[1],
                  i0 = outer / w.lengths[2] / w.lengths[1];
    const T* base = x + i0 * w.strides[0] + i1 * w.strides[1] + i2 * w.strides[2];
    T* to = y + outer * rows_inner * inner;
    for (int64_t i3 = 0; i3 < w.lengths[3]; ++i3) {
      for (int64_t i4 = 0; i4 < w.lengths[4]; ++i4, to += inner) {
        const T* from = base + i3 * w.strides[3] + i4 * w.strides[4];
        if (inner_stride == 1) {
          std::memcpy(to, from, static_cast<size_t>(inner) * sizeof(T));
        } else {
          for (int64_t i = 0; i < inner; ++i) to[i] = from[i * inner_stride];
        }
      }
    }
  });
}

}  // namespace

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
  Walk walk;
  const int added = Shape::max_rank - shape.rank;
  for (int i = 0; i < Shape::max_rank; ++i) {
    walk.lengths[i] = i < added ? 1 : shape[i - added];
    walk.strides[i] = i < added ? 0 : from.count(static_cast<int>(axes[i - added]) + 1, from.rank);
  }
  if (result.count() > 0) {
    switch (size_of(x.dtype())) {
      case 1: gather(walk, static_cast<const uint8_t*>(x.data()), static_cast<uint8_t*>(result.data())); break;
      case 2: gather(walk, static_cast<const uint16_t*>(x.data()), static_cast<uint16_t*>(result.data())); break;
      case 4: gather(walk, static_cast<const uint32_t*>(x.data()), static_cast<uint32_t*>(result.data())); break;
      default: gather(walk, static_cast<const uint64_t*>(x.data()), static_cast<uint64_t*>(result.data())); break;
    }
  }
  y = std::move(result);
  return {};
}

}  // namespace forge::ops
