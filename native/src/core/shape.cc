#include "core/shape.h"

namespace forge {

int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return 4;
    case DType::i32: return 4;
    case DType::bf16: return 2;
    case DType::f64: return 8;
    case DType::u8: return 1;
    case DType::i8: return 1;
  }
  return 8;
}

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return "f32";
    case DType::i32: return "i32";
    case DType::bf16: return "bf16";
    case DType::f64: return "f64";
    case DType::u8: return "u8";
    case DType::i8: return "i8";
  }
  return "unknown";
}

bool Shape::operator==(const Shape& other) const {
  if (rank != other.rank) return false;
  for (int axis = 0; axis < rank; ++axis) {
    if (dims[axis] != other.dims[axis]) return false;
  }
  return true;
}

int64_t Shape::count(int begin, int end) const {
  int64_t product = 1;
  for (int axis = begin; axis < end; ++axis) product *= dims[axis];
  return product;
}

Shape Shape::without(int axis) const {
  Shape result;
  for (int i = 0; i < rank; ++i) {
    if (i != axis) result.dims[result.rank++] = dims[i];
  }
  return result;
}

Shape Shape::with_last(int64_t length) const {
  Shape result = *this;
  if (result.rank == 0) result.rank = 1;
  result.dims[result.rank - 1] = length;
  return result;
}

bool Shape::ends_with(const Shape& tail) const {
  if (tail.rank > rank) return false;
  for (int axis = 0; axis < tail.rank; ++axis) {
    if (tail.dims[axis] != dims[rank - tail.rank + axis]) return false;
  }
  return true;
}

std::string Shape::text() const {
  std::string result = "[";
  for (int axis = 0; axis < rank; ++axis) {
    if (axis > 0) result += ", ";
    result += std::to_string(dims[axis]);
  }
  return result + "]";
}

Status check_shape(const char* op, const Shape& shape, DType dtype) {
  constexpr int64_t limit_bytes = int64_t{1} << 46;
  int64_t bytes = size_of(dtype);
  for (int axis = 0; axis < shape.rank; ++axis) {
    const int64_t length = shape.dims[axis];
    if (length < 0) return failure(Code::shape, "%s: negative axis length in %s", op, shape.text().c_str());
  }
  // Zero lengths are skipped, so that every partial product of a shape also fits.
  for (int axis = 0; axis < shape.rank; ++axis) {
    const int64_t length = shape.dims[axis] == 0 ? 1 : shape.dims[axis];
    if (bytes > limit_bytes / length) {
      return failure(Code::shape, "%s: %s %s has more than 2^46 bytes", op, name_of(dtype), shape.text().c_str());
    }
    bytes *= length;
  }
  return {};
}

}  // namespace forge
