#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/status.h"

namespace forge {

/** Element types, with the codes that addon-types.ts declares. */
enum class DType : uint8_t { f32 = 0, i32 = 1, bf16 = 2, f64 = 3, u8 = 4, i8 = 5 };

/** Bytes per element. */
int64_t size_of(DType dtype);
const char* name_of(DType dtype);

/** Axis lengths of a tensor, outermost first; rank 0 is a scalar. */
struct Shape {
  static constexpr int max_rank = 6;
  int rank = 0;
  int64_t dims[max_rank] = {};

  Shape() = default;
  Shape(std::initializer_list<int64_t> lengths) {
    for (int64_t length : lengths) dims[rank++] = length;
  }

  int64_t operator[](int axis) const { return dims[axis]; }
  bool operator==(const Shape& other) const;
  /** Product of all lengths; 1 for a scalar. Valid after `check`. */
  int64_t count() const { return count(0, rank); }
  /** Product of the lengths of axes begin ≤ axis < end. */
  int64_t count(int begin, int end) const;
  /** Length of the last axis; 1 for a scalar. */
  int64_t last() const { return rank == 0 ? 1 : dims[rank - 1]; }
  /** This shape without one axis. */
  Shape without(int axis) const;
  /** This shape with the last axis replaced. */
  Shape with_last(int64_t length) const;
  /** Whether `tail` equals the trailing axes of this shape. */
  bool ends_with(const Shape& tail) const;
  /** "[2, 3]". */
  std::string text() const;
};

/** Refuses negative lengths and sizes that do not fit 2^46 bytes. */
Status check_shape(const char* op, const Shape& shape, DType dtype);

}  // namespace forge
