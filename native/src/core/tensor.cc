#include "core/tensor.h"

#include <new>

#include "core/allocator.h"

namespace forge {

Tensor::Tensor(const Tensor& other)
    : buffer_(other.buffer_), offset_(other.offset_), count_(other.count_), shape_(other.shape_), dtype_(other.dtype_) {
  if (buffer_ != nullptr) ++buffer_->references;
}

Tensor::Tensor(Tensor&& other) noexcept
    : buffer_(std::exchange(other.buffer_, nullptr)),
      offset_(other.offset_),
      count_(other.count_),
      shape_(other.shape_),
      dtype_(other.dtype_) {}

Tensor& Tensor::operator=(Tensor other) noexcept {
  std::swap(buffer_, other.buffer_);
  std::swap(offset_, other.offset_);
  std::swap(count_, other.count_);
  std::swap(shape_, other.shape_);
  std::swap(dtype_, other.dtype_);
  return *this;
}

Tensor::~Tensor() {
  if (buffer_ == nullptr || --buffer_->references > 0) return;
  buffer_->home->release(buffer_->data, buffer_->capacity);
  delete buffer_;
}

bool Tensor::overlaps(const Tensor& other) const {
  if (!defined() || buffer_ != other.buffer_) return false;
  const char* begin = static_cast<const char*>(data());
  const char* other_begin = static_cast<const char*>(other.data());
  return begin < other_begin + other.bytes() && other_begin < begin + bytes();
}

Tensor Tensor::view(int64_t offset, const Shape& shape) const {
  Tensor result = *this;
  result.offset_ += offset;
  result.shape_ = shape;
  result.count_ = shape.count();
  return result;
}

Status empty(const char* op, DType dtype, const Shape& shape, Tensor& out) {
  FORGE_TRY(check_shape(op, shape, dtype));
  void* block = nullptr;
  int64_t capacity = 0;
  Allocator& home = Allocator::instance();
  FORGE_TRY(home.allocate(op, shape.count() * size_of(dtype), block, capacity));
  Tensor result;
  result.buffer_ = new (std::nothrow) Buffer{&home, block, capacity, 1};
  if (result.buffer_ == nullptr) {
    home.release(block, capacity);
    return failure(Code::oom, "%s: out of memory", op);
  }
  result.shape_ = shape;
  result.count_ = shape.count();
  result.dtype_ = dtype;
  out = std::move(result);
  return {};
}

Status expect_dtype(const char* op, const char* name, const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return {};
  return failure(Code::dtype, "%s: %s is %s %s, needs %s", op, name, name_of(x.dtype()), x.shape().text().c_str(),
                 name_of(dtype));
}

Status expect_f32(const char* op, std::initializer_list<const Tensor*> tensors) {
  for (const Tensor* tensor : tensors) {
    if (tensor != nullptr) FORGE_TRY(expect_dtype(op, "an input", *tensor, DType::f32));
  }
  return {};
}

Status expect_same_shape(const char* op, const char* a_name, const Tensor& a, const char* b_name, const Tensor& b) {
  if (a.shape() == b.shape()) return {};
  return failure(Code::shape, "%s: %s %s and %s %s must have the same shape", op, a_name, a.shape().text().c_str(),
                 b_name, b.shape().text().c_str());
}

}  // namespace forge
