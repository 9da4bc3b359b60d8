#include <algorithm>
#include <cstring>

#include "core/kernels.h"
#include "core/parallel.h"
#include "ops/ops.h"

namespace forge::ops {
namespace {

Status check_index(const char* op, const Tensor& index, int64_t rows) {
  FORGE_TRY(expect_dtype(op, "the index", index, DType::i32));
  const int32_t* values = index.i32();
  for (int64_t i = 0; i < index.count(); ++i) {
    if (values[i] < 0 || values[i] >= rows) {
      return failure(Code::argument, "%s: index %d at position %lld, needs 0 to %lld", op, values[i],
                     static_cast<long long>(i), static_cast<long long>(rows - 1));
    }
  }
  return {};
}

Status gather(const char* op, const Tensor& x, const Tensor& index, Tensor& y) {
  const int tail = x.shape().rank - 1;
  if (tail < 0 || index.shape().rank + tail > Shape::max_rank) {
    return failure(Code::shape, "%s: x %s with index %s", op, x.shape().text().c_str(), index.shape().text().c_str());
  }
  FORGE_TRY(check_index(op, index, x.shape()[0]));
  Shape shape = index.shape();
  for (int axis = 1; axis <= tail; ++axis) shape.dims[shape.rank++] = x.shape()[axis];
  Tensor result;
  FORGE_TRY(empty(op, x.dtype(), shape, result));
  const int64_t bytes = x.shape().count(1, x.shape().rank) * size_of(x.dtype());
  if (bytes > 0) {
    const int64_t rows = index.count(), piece = std::max<int64_t>(1, (1 << 17) / bytes);
    const char* from = static_cast<const char*>(x.data());
    char* to = static_cast<char*>(result.data());
    const int32_t* at = index.i32();
    parallel_for((rows + piece - 1) / piece, [&](int64_t p, int) {
      for (int64_t i = p * piece; i < std::min(rows, (p + 1) * piece); ++i) {
        std::memcpy(to + i * bytes, from + at[i] * bytes, static_cast<size_t>(bytes));
      }
    });
  }
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
  FORGE_TRY(check_index(op, index, dst.shape()[0]));
  if (dst.overlaps(src)) return failure(Code::argument, "%s: dst and src share elements", op);
  kernels().scatter_add_rows(dst.f32(), index.i32(), src.f32(), index.count(), dst.shape().count(1, dst.shape().rank));
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
