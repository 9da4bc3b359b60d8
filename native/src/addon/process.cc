#include "addon/edge.h"

#include "core/allocator.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "ops/support.h"

namespace forge::addon {
namespace {

void set_number(napi_env env, napi_value object, const char* name, double value) {
  napi_value number;
  napi_create_double(env, value, &number);
  napi_set_named_property(env, object, name, number);
}

void set_text(napi_env env, napi_value object, const char* name, const char* value) {
  napi_value text;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &text);
  napi_set_named_property(env, object, name, text);
}

/** A whole-number property between 1 and `most`; `present` is false when undefined. */
Status get_option(Arguments& arguments, napi_value options, const char* name, double most, bool& present,
                  double& value) {
  napi_value property;
  napi_valuetype type;
  if (napi_get_named_property(arguments.env(), options, name, &property) != napi_ok ||
      napi_typeof(arguments.env(), property, &type) != napi_ok) {
    return failure(Code::argument, "init: cannot read options.%s", name);
  }
  present = type != napi_undefined;
  if (!present) return {};
  if (napi_get_value_double(arguments.env(), property, &value) != napi_ok || !(value >= 1 && value <= most) ||
      value != std::floor(value)) {
    return failure(Code::argument, "init: %s must be an integer from 1 to %.0f", name, most);
  }
  return {};
}

}  // namespace

Status init(Arguments& arguments, napi_value&) {
  const napi_value options = arguments.next();
  napi_valuetype type = napi_undefined;
  napi_typeof(arguments.env(), options, &type);
  if (type != napi_object) return failure(Code::argument, "init: options must be an object");
  double threads = 0, max_bytes = 0;
  bool has_threads = false, has_max_bytes = false;
  FORGE_TRY(get_option(arguments, options, "threads", 256, has_threads, threads));
  FORGE_TRY(get_option(arguments, options, "maxBytes", 9007199254740991.0, has_max_bytes, max_bytes));
  if (has_threads && !start_pool(static_cast<int>(threads))) {
    return failure(Code::argument, "init: the pool of this process already has %d threads, not %.0f", worker_count(),
                   threads);
  }
  worker_count();  // starts the pool
  if (has_max_bytes) Allocator::instance().set_limit(static_cast<int64_t>(max_bytes));
  return {};
}

Status backend_info(Arguments& arguments, napi_value& result) {
  napi_create_object(arguments.env(), &result);
  set_text(arguments.env(), result, "device", "cpu");
  set_text(arguments.env(), result, "isa", isa_name());
  set_number(arguments.env(), result, "threads", worker_count());
  set_text(arguments.env(), result, "blas", "builtin");
  return {};
}

Status supports_op(Arguments& arguments, napi_value& result) {
  std::string name;
  FORGE_TRY(read(arguments, name));
  return write(arguments, is_exported(name.c_str()) && ops::is_supported(name.c_str()), result);
}

Status memory_stats(Arguments& arguments, napi_value& result) {
  const MemoryStats stats = Allocator::instance().stats();
  napi_create_object(arguments.env(), &result);
  set_number(arguments.env(), result, "liveBytes", static_cast<double>(stats.live_bytes));
  set_number(arguments.env(), result, "cachedBytes", static_cast<double>(stats.cached_bytes));
  set_number(arguments.env(), result, "peakBytes", static_cast<double>(stats.peak_bytes));
  set_number(arguments.env(), result, "maxBytes", static_cast<double>(stats.max_bytes));
  set_number(arguments.env(), result, "liveTensors", static_cast<double>(TensorTable::live_tensors()));
  return {};
}

Status reset_peak(Arguments&, napi_value&) {
  Allocator::instance().reset_peak();
  return {};
}

Status empty_cache(Arguments&, napi_value&) {
  Allocator::instance().empty_cache();
  return {};
}

}  // namespace forge::addon
