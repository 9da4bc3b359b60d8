#include <cstring>

#include "addon/edge.h"
#include "core/backend.h"
#include "ops/stored_weights.h"

namespace forge::addon {
namespace {

napi_typedarray_type array_type(DType dtype) {
  switch (dtype) {
    case DType::f32: return napi_float32_array;
    case DType::i32: return napi_int32_array;
    case DType::bf16: return napi_uint16_array;
    case DType::f64: return napi_float64_array;
    case DType::u8: return napi_uint8_array;
    case DType::i8: return napi_int8_array;
  }
  return napi_uint8_array;
}

/** The memory of a typed array whose kind fits `dtype`. */
Status get_array(Arguments& arguments, DType dtype, void*& data, int64_t& length) {
  const napi_value value = arguments.next();
  bool is_array = false;
  napi_typedarray_type type;
  size_t count = 0;
  if (napi_is_typedarray(arguments.env(), value, &is_array) != napi_ok || !is_array ||
      napi_get_typedarray_info(arguments.env(), value, &type, &count, &data, nullptr, nullptr) != napi_ok ||
      type != array_type(dtype)) {
    return failure(Code::dtype, "%s: argument %zu is not the typed array of %s", arguments.op(), arguments.position(),
                   name_of(dtype));
  }
  length = static_cast<int64_t>(count);
  return {};
}

template <class T>
T element(const void* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace

Status alloc(Arguments& arguments, napi_value& result) {
  DType dtype;
  Shape shape;
  Tensor tensor;
  FORGE_TRY(read(arguments, dtype));
  FORGE_TRY(read(arguments, shape));
  FORGE_TRY(empty("alloc", dtype, shape, tensor));
  return write(arguments, tensor, result);
}

Status free_handle(Arguments& arguments, napi_value&) {
  double handle;
  FORGE_TRY(read(arguments, handle));
  if (arguments.instance().tensors.erase(handle)) return {};
  return failure(Code::handle, "free: no live tensor has handle %.0f on this thread", handle);
}

Status shape_of(Arguments& arguments, napi_value& result) {
  Tensor x;
  FORGE_TRY(read(arguments, x));
  napi_create_array_with_length(arguments.env(), static_cast<size_t>(x.shape().rank), &result);
  for (int axis = 0; axis < x.shape().rank; ++axis) {
    napi_value length;
    napi_create_int64(arguments.env(), x.shape()[axis], &length);
    napi_set_element(arguments.env(), result, static_cast<uint32_t>(axis), length);
  }
  return {};
}

Status dtype_of(Arguments& arguments, napi_value& result) {
  Tensor x;
  FORGE_TRY(read(arguments, x));
  napi_create_int32(arguments.env(), static_cast<int32_t>(x.dtype()), &result);
  return {};
}

Status write_elements(Arguments& arguments, napi_value&) {
  Tensor x;
  void* data = nullptr;
  int64_t length = 0, offset = 0;
  FORGE_TRY(read(arguments, x));
  FORGE_TRY(get_array(arguments, x.dtype(), data, length));
  const napi_value argument = arguments.next();
  napi_valuetype type = napi_undefined;
  napi_typeof(arguments.env(), argument, &type);
  double number = 0;
  if (type != napi_undefined) {
    if (napi_get_value_double(arguments.env(), argument, &number) != napi_ok || number != std::floor(number) ||
        !(number >= 0 && number <= 9007199254740991.0)) {
      return failure(Code::argument, "write: offset must be an integer from 0");
    }
    offset = static_cast<int64_t>(number);
  }
  if (offset > x.count() || length > x.count() - offset) {
    return failure(Code::shape, "write: %lld elements from %lld do not fit x %s", static_cast<long long>(length),
                   static_cast<long long>(offset), x.shape().text().c_str());
  }
  const int64_t size = size_of(x.dtype());
  copy_in(static_cast<char*>(x.data()) + offset * size, data, length * size);
  return {};
}

Status read_elements(Arguments& arguments, napi_value& result) {
  Tensor x;
  FORGE_TRY(read(arguments, x));
  napi_value buffer;
  void* data = nullptr;
  const size_t bytes = static_cast<size_t>(x.bytes());
  if (napi_create_arraybuffer(arguments.env(), bytes, &data, &buffer) != napi_ok) {
    return failure(Code::oom, "read: no array of %zu bytes can be made", bytes);
  }
  copy_out(data, x.data(), x.bytes());
  if (napi_create_typedarray(arguments.env(), array_type(x.dtype()), static_cast<size_t>(x.count()), buffer, 0,
                             &result) != napi_ok) {
    return failure(Code::oom, "read: no array of %zu bytes can be made", bytes);
  }
  return {};
}

Status read_into(Arguments& arguments, napi_value&) {
  Tensor x;
  void* data = nullptr;
  int64_t length = 0;
  FORGE_TRY(read(arguments, x));
  FORGE_TRY(get_array(arguments, x.dtype(), data, length));
  if (length != x.count()) {
    return failure(Code::shape, "readInto: an array of %lld elements for x %s", static_cast<long long>(length),
                   x.shape().text().c_str());
  }
  copy_out(data, x.data(), x.bytes());
  return {};
}

Status item(Arguments& arguments, napi_value& result) {
  Tensor x;
  FORGE_TRY(read(arguments, x));
  if (x.count() != 1) return failure(Code::shape, "item: x %s has not one element", x.shape().text().c_str());
  alignas(8) unsigned char bytes[8];
  copy_out(bytes, x.data(), x.bytes());
  double value = 0;
  switch (x.dtype()) {
    case DType::f32: value = element<float>(bytes); break;
    case DType::i32: value = element<int32_t>(bytes); break;
    case DType::f64: value = element<double>(bytes); break;
    case DType::u8: value = element<uint8_t>(bytes); break;
    case DType::i8: value = element<int8_t>(bytes); break;
    case DType::bf16: {
      const uint32_t bits = uint32_t{element<uint16_t>(bytes)} << 16;
      value = element<float>(&bits);
      break;
    }
  }
  return write(arguments, value, result);
}

Status read_weights(Arguments& arguments, napi_value& result) {
  int64_t file = 0, position = 0, type = 0;
  Shape shape;
  Tensor x;
  FORGE_TRY(read(arguments, file));
  FORGE_TRY(read(arguments, position));
  FORGE_TRY(read(arguments, type));
  FORGE_TRY(read(arguments, shape));
  FORGE_TRY(ops::read_weights(file, position, type, shape, x));
  return write(arguments, x, result);
}

Status prefetch_file(Arguments& arguments, napi_value&) {
  int64_t file = 0, position = 0, bytes = 0;
  FORGE_TRY(read(arguments, file));
  FORGE_TRY(read(arguments, position));
  FORGE_TRY(read(arguments, bytes));
  return ops::prefetch_file(file, position, bytes);
}

Status encode_weights(Arguments& arguments, napi_value&) {
  Tensor x;
  int64_t type = 0, begin = 0, bytes = 0;
  void* data = nullptr;
  FORGE_TRY(read(arguments, x));
  FORGE_TRY(read(arguments, type));
  FORGE_TRY(read(arguments, begin));
  FORGE_TRY(get_array(arguments, DType::u8, data, bytes));
  return ops::encode_weights(x, type, begin, data, bytes);
}

}  // namespace forge::addon
