#include "core/kernels.h"
#include "ops/checked_index.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status gather(const char* op, const Tensor& x, const Tensor& index, Tensor& y) {
  const int tail = x.shape().rank - 1;
  if (tail < 0 || index.shape().rank + tail > Shape::max_rank) {
    return failure(Code::shape, "%s: x %s with index %s", op, x.shape().text().c_str(), index.shape().text().c_str());
  }
  FORGE_TRY(expect_dtype(op, "the index", index, DType::i32));
  CheckedIndex rows;
  FORGE_TRY(rows.check(op, index, x.shape()[0], no_exception));
  Shape shape = index.shape();
  for (int axis = 1; axis <= tail; ++axis) shape.dims[shape.rank++] = x.shape()[axis];
  Tensor result;
  FORGE_TRY(empty(op, x.dtype(), shape, result));
  const int64_t bytes = x.shape().count(1, x.shape().rank) * size_of(x.dtype());
  kernels().gather_rows(x.data(), rows.i32(), result.data(), index.count(), bytes);
  y = std::move(result);
  return {};
}

Status scatter(const char* op, const Tensor& dst, const Tensor& index, const Tensor& src) {
  FORGE_TRY(expect_f32(op, {&dst, &src}));
  const int tail = dst.shape().rank - 1;
  Shape rows = index.shape();
  const bool fits = tail >= 0 && rows.rank + tail <= Shape::max_rank;
  for (int axis = 1; fits && axis <= tail; ++axis) rows.dims[rows.rank++] = dst.shape()[axis];
  if (!fits || !(rows == src.shape())) {
    return failure(Code::shape, "%s: dst %s, index %s and src %s do not fit", op, dst.shape().text().c_str(),
                   index.shape().text().c_str(), src.shape().text().c_str());
  }
  FORGE_TRY(expect_dtype(op, "the index", index, DType::i32));
  if (dst.overlaps(src)) return failure(Code::argument, "%s: dst and src share elements", op);
  CheckedIndex checked;
  FORGE_TRY(checked.check(op, index, dst.shape()[0], no_exception));
  kernels().scatter_add_rows(dst.f32(), checked.i32(), src.f32(), index.count(), dst.shape().count(1, dst.shape().rank));
  return {};
}

}  // namespace

Status gather_rows(const Tensor& x, const Tensor& index, Tensor& y) { return gather("gatherRows", x, index, y); }

Status scatter_add_rows(const Tensor& dst, const Tensor& index, const Tensor& src) {
  return scatter("scatterAddRows", dst, index, src);
}

Status embedding(const Tensor& table, const Tensor& ids, Tensor& y) {
  FORGE_TRY(expect_f32("embedding", {&table}));
  if (table.shape().rank != 2) {
    return failure(Code::shape, "embedding: table %s, needs [V, C]", table.shape().text().c_str());
  }
  return gather("embedding", table, ids, y);
}

Status embedding_backward(const Tensor& d_out, const Tensor& ids, const Tensor& d_table) {
  return scatter("embeddingBackward", d_table, ids, d_out);
}

}  // namespace forge::ops
