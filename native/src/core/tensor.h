#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "core/shape.h"
#include "core/status.h"

namespace forge {

class Allocator;

/** A block of an allocator, shared by the tensors of one thread that view it. */
struct Buffer {
  Allocator* home;
  void* data;
  int64_t capacity;
  int64_t references;
};

/**
 * A dense row-major tensor: a dtype, a shape, and an offset into a shared buffer. A value type; copies
 * share elements. Reference counts are not atomic: a tensor belongs to the thread that made it.
 */
class Tensor {
 public:
  Tensor() = default;
  Tensor(const Tensor& other);
  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(Tensor other) noexcept;
  ~Tensor();

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t count() const { return count_; }
  int64_t bytes() const { return count_ * size_of(dtype_); }
  bool defined() const { return buffer_ != nullptr; }

  /** Memory of the device in use (backend.h): only kernels and copy_in, copy_out may touch it. */
  void* data() const { return static_cast<char*>(buffer_->data) + offset_ * size_of(dtype_); }
  float* f32() const { return static_cast<float*>(data()); }
  int32_t* i32() const { return static_cast<int32_t*>(data()); }
  double* f64() const { return static_cast<double*>(data()); }
  uint8_t* u8() const { return static_cast<uint8_t*>(data()); }
  int8_t* i8() const { return static_cast<int8_t*>(data()); }

  /** The block of the allocator that the elements are in. */
  void* block() const { return buffer_->data; }
  /** Whether any byte belongs to both. */
  bool overlaps(const Tensor& other) const;
  /** The same elements from `offset` on under another shape; the caller has checked the bounds. */
  Tensor view(int64_t offset, const Shape& shape) const;

 private:
  friend Status empty(const char* op, DType dtype, const Shape& shape, Tensor& out);
  Buffer* buffer_ = nullptr;
  int64_t offset_ = 0;
  int64_t count_ = 0;
  Shape shape_;
  DType dtype_ = DType::f32;
};

using TensorList = std::vector<Tensor>;

/** A tensor with undefined contents. SHAPE: negative or too large; OOM. `op` names the asker in messages. */
Status empty(const char* op, DType dtype, const Shape& shape, Tensor& out);

/** DTYPE unless x has that dtype. */
Status expect_dtype(const char* op, const char* name, const Tensor& x, DType dtype);
/** DTYPE unless every tensor is f32. */
Status expect_f32(const char* op, std::initializer_list<const Tensor*> tensors);
/** SHAPE, naming both, unless the shapes are equal. */
Status expect_same_shape(const char* op, const char* a_name, const Tensor& a, const char* b_name, const Tensor& b);

}  // namespace forge
