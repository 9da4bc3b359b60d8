#include "addon/call.h"

#include "core/capture.h"

namespace forge::addon {
namespace {

constexpr double largest_integer = 9007199254740992.0;  // 2^53: every integer up to it is exact in a double

Status bad_argument(const Arguments& arguments, const char* wanted) {
  return failure(Code::argument, "%s: argument %zu is not %s", arguments.op(), arguments.position(), wanted);
}

bool get_integer(napi_env env, napi_value value, int64_t& out) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) return false;
  if (!(std::fabs(number) <= largest_integer) || number != std::floor(number)) return false;
  out = static_cast<int64_t>(number);
  return true;
}

/** Calls f(i, element) for the elements of an array. */
template <class F>
Status for_each_element(Arguments& arguments, napi_value array, uint32_t most, const char* wanted, const F& f) {
  bool is_array = false;
  uint32_t length = 0;
  if (napi_is_array(arguments.env(), array, &is_array) != napi_ok || !is_array ||
      napi_get_array_length(arguments.env(), array, &length) != napi_ok || length > most) {
    return bad_argument(arguments, wanted);
  }
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element;
    if (napi_get_element(arguments.env(), array, i, &element) != napi_ok) return bad_argument(arguments, wanted);
    FORGE_TRY(f(element));
  }
  return {};
}

Status find_tensor(Arguments& arguments, napi_value value, Tensor& tensor) {
  double handle;
  if (napi_get_value_double(arguments.env(), value, &handle) != napi_ok) {
    return bad_argument(arguments, "a tensor handle");
  }
  const Tensor* found = arguments.instance().tensors.find(handle);
  if (found == nullptr) {
    return failure(Code::handle, "%s: argument %zu: no live tensor has handle %.0f on this thread", arguments.op(),
                   arguments.position(), handle);
  }
  tensor = *found;
  hold(tensor);
  return {};
}

}  // namespace

napi_value throw_status(napi_env env, const Status& status) {
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) {
    napi_throw_error(env, status.code_name(), status.message().c_str());
  }
  return nullptr;
}

Arguments::Arguments(napi_env env, napi_callback_info info, const char* op)
    : env_(env), op_(op), on_device_(ops::is_supported(op)) {
  size_t count = most;
  napi_get_cb_info(env, info, &count, values_, nullptr, nullptr);
}

Status read(Arguments& arguments, double& value) {
  if (napi_get_value_double(arguments.env(), arguments.next(), &value) == napi_ok) return {};
  return bad_argument(arguments, "a number");
}

Status read(Arguments& arguments, int64_t& value) {
  if (get_integer(arguments.env(), arguments.next(), value)) return {};
  return bad_argument(arguments, "an integer");
}

Status read(Arguments& arguments, uint32_t& value) {
  int64_t integer;
  if (!get_integer(arguments.env(), arguments.next(), integer) || integer < 0 || integer > UINT32_MAX) {
    return bad_argument(arguments, "an unsigned 32-bit integer");
  }
  value = static_cast<uint32_t>(integer);
  return {};
}

Status read(Arguments& arguments, bool& value) {
  if (napi_get_value_bool(arguments.env(), arguments.next(), &value) == napi_ok) return {};
  return bad_argument(arguments, "a boolean");
}

Status read(Arguments& arguments, DType& value) {
  int64_t code;
  if (!get_integer(arguments.env(), arguments.next(), code) || code < 0 || code > static_cast<int64_t>(DType::i8)) {
    return bad_argument(arguments, "a dtype code (0 to 5)");
  }
  value = static_cast<DType>(code);
  return {};
}

Status read(Arguments& arguments, Shape& value) {
  constexpr const char* wanted = "an array of at most 6 integers";
  return for_each_element(arguments, arguments.next(), Shape::max_rank, wanted, [&](napi_value element) -> Status {
    if (!get_integer(arguments.env(), element, value.dims[value.rank++])) return bad_argument(arguments, wanted);
    return {};
  });
}

Status read(Arguments& arguments, Tensor& value) { return find_tensor(arguments, arguments.next(), value); }

Status read(Arguments& arguments, std::optional<Tensor>& value) {
  const napi_value argument = arguments.next();
  napi_valuetype type = napi_undefined;
  napi_typeof(arguments.env(), argument, &type);
  if (type == napi_null || type == napi_undefined) return {};
  return find_tensor(arguments, argument, value.emplace());
}

Status read(Arguments& arguments, TensorList& value) {
  constexpr const char* wanted = "an array of at most 65536 tensor handles";
  return for_each_element(arguments, arguments.next(), 65536, wanted, [&](napi_value element) {
    return find_tensor(arguments, element, value.emplace_back());
  });
}

Status read(Arguments& arguments, std::vector<double>& value) {
  constexpr const char* wanted = "an array of at most 65536 numbers";
  return for_each_element(arguments, arguments.next(), 65536, wanted, [&](napi_value element) -> Status {
    if (napi_get_value_double(arguments.env(), element, &value.emplace_back()) == napi_ok) return {};
    return bad_argument(arguments, wanted);
  });
}

Status read(Arguments& arguments, std::string& value) {
  char text[256];
  size_t length = 0;
  if (napi_get_value_string_utf8(arguments.env(), arguments.next(), text, sizeof text, &length) != napi_ok ||
      length + 1 == sizeof text) {
    return bad_argument(arguments, "a short text");
  }
  value.assign(text, length);
  return {};
}

Status write(Arguments& arguments, Tensor& value, napi_value& result) {
  Handle handle;
  FORGE_TRY(arguments.instance().tensors.insert(std::move(value), handle));
  napi_create_double(arguments.env(), static_cast<double>(handle), &result);
  return {};
}

Status write(Arguments& arguments, double value, napi_value& result) {
  napi_create_double(arguments.env(), value, &result);
  return {};
}

Status write(Arguments& arguments, bool value, napi_value& result) {
  napi_get_boolean(arguments.env(), value, &result);
  return {};
}

napi_value pack_results(napi_env env, const napi_value* results, size_t count) {
  napi_value packed = nullptr;
  if (count == 1) return results[0];
  if (count == 0) {
    napi_get_undefined(env, &packed);
    return packed;
  }
  napi_create_array_with_length(env, count, &packed);
  for (size_t i = 0; i < count; ++i) napi_set_element(env, packed, static_cast<uint32_t>(i), results[i]);
  return packed;
}

}  // namespace forge::addon
