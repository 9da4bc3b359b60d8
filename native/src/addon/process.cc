#include <cstdlib>
#include <cstring>
#include <mutex>

#include "addon/edge.h"
#include "core/allocator.h"
#include "core/backend_library.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "ops/fallback.h"
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

/** A text property; empty when undefined. */
Status get_text(Arguments& arguments, napi_value options, const char* name, std::string& value) {
  napi_value property;
  napi_valuetype type;
  char text[32];
  size_t length = 0;
  if (napi_get_named_property(arguments.env(), options, name, &property) != napi_ok ||
      napi_typeof(arguments.env(), property, &type) != napi_ok) {
    return failure(Code::argument, "init: cannot read options.%s", name);
  }
  if (type == napi_undefined) return {};
  if (napi_get_value_string_utf8(arguments.env(), property, text, sizeof text, &length) != napi_ok || length == 0) {
    return failure(Code::argument, "init: %s must be a text", name);
  }
  value.assign(text, length);
  return {};
}

/** The backend of a device, or DEVICE with every path tried; ARGUMENT for a name that is no device. */
Status find_device(const std::string& device, const Backend*& found, std::vector<BackendAttempt>& attempts) {
  found = nullptr;
  if (device == "cpu") {
    found = &cpu_backend();
    return {};
  }
  if (device != "cuda") return failure(Code::argument, "device '%s' is neither cpu nor cuda", device.c_str());
  found = load_backend(device.c_str(), attempts);
  return found != nullptr ? Status{} : backend_missing(device.c_str(), attempts);
}

/** What happens to an op that a device lacks, from the option, else FORGE_CUDA_FALLBACK. */
Status choose_fallback(const std::string& option) {
  const char* const setting = std::getenv("FORGE_CUDA_FALLBACK");
  const bool is_set = option.empty() && setting != nullptr && setting[0] != '\0';
  const std::string wanted = is_set ? setting : option;
  if (!wanted.empty() && wanted != "cpu" && wanted != "refuse") {
    return failure(Code::argument, "init: %s '%s' is neither cpu nor refuse", is_set ? "FORGE_CUDA_FALLBACK" : "fallback",
                   wanted.c_str());
  }
  if (!wanted.empty()) ops::allow_fallback(wanted == "cpu");
  return {};
}

/** Makes a device that of the process: once, and before there are tensors. */
Status choose_device(const std::string& device) {
  static std::mutex mutex;
  static bool chosen = false;
  const std::lock_guard lock(mutex);
  const Backend* found = nullptr;
  std::vector<BackendAttempt> attempts;
  if (device == backend().device) {
    chosen = true;
    return {};
  }
  FORGE_TRY(find_device(device, found, attempts));
  if (chosen || TensorTable::live_tensors() > 0) {
    return failure(Code::argument, "init: this process already computes on %s, with %lld tensors; a process has one device",
                   backend().device, static_cast<long long>(TensorTable::live_tensors()));
  }
  select_backend(*found);
  chosen = true;
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
  std::string device, fallback;
  FORGE_TRY(get_text(arguments, options, "device", device));
  FORGE_TRY(get_text(arguments, options, "fallback", fallback));
  FORGE_TRY(get_option(arguments, options, "threads", 256, has_threads, threads));
  FORGE_TRY(get_option(arguments, options, "maxBytes", 9007199254740991.0, has_max_bytes, max_bytes));
  FORGE_TRY(choose_fallback(fallback));
  if (has_threads && !start_pool(static_cast<int>(threads))) {
    return failure(Code::argument, "init: the pool of this process already has %d threads, not %.0f", worker_count(),
                   threads);
  }
  worker_count();  // starts the pool
  if (!device.empty()) FORGE_TRY(choose_device(device));
  if (has_max_bytes) Allocator::instance().set_limit(static_cast<int64_t>(max_bytes));
  return {};
}

Status device_probe(Arguments& arguments, napi_value& result) {
  std::string device;
  const Backend* found = nullptr;
  std::vector<BackendAttempt> attempts;
  FORGE_TRY(read(arguments, device));
  if (const Status status = find_device(device, found, attempts); status.code() == Code::argument) return status;
  napi_create_array_with_length(arguments.env(), attempts.size(), &result);
  for (size_t i = 0; i < attempts.size(); ++i) {
    napi_value attempt;
    napi_create_object(arguments.env(), &attempt);
    set_text(arguments.env(), attempt, "path", attempts[i].path.c_str());
    set_text(arguments.env(), attempt, "cause", attempts[i].cause.c_str());
    napi_set_element(arguments.env(), result, static_cast<uint32_t>(i), attempt);
  }
  return {};
}

Status backend_info(Arguments& arguments, napi_value& result) {
  napi_create_object(arguments.env(), &result);
  set_text(arguments.env(), result, "device", backend().device);
  set_text(arguments.env(), result, "isa", isa_name());
  set_number(arguments.env(), result, "threads", planned_worker_count());
  DeviceDescription description{};
  napi_value gpu;
  if (on_host()) {
    std::strcpy(description.blas, "builtin");
    napi_get_null(arguments.env(), &gpu);
  } else {
    backend().describe(&description);
    napi_create_object(arguments.env(), &gpu);
    set_text(arguments.env(), gpu, "name", description.name);
    set_text(arguments.env(), gpu, "driver", description.driver);
    set_text(arguments.env(), gpu, "computeCapability", description.compute_capability);
  }
  set_text(arguments.env(), result, "blas", description.blas);
  napi_value captures;
  FORGE_TRY(write(arguments, can_capture(), captures));
  napi_set_named_property(arguments.env(), result, "captures", captures);
  set_text(arguments.env(), result, "fallback", ops::is_fallback_allowed() ? "cpu" : "refuse");
  napi_set_named_property(arguments.env(), result, "gpu", gpu);
  return {};
}

Status supports_op(Arguments& arguments, napi_value& result) {
  std::string name;
  FORGE_TRY(read(arguments, name));
  return write(arguments, is_exported(name.c_str()) && ops::is_supported(name.c_str()), result);
}

Status fallbacks(Arguments& arguments, napi_value& result) {
  napi_create_object(arguments.env(), &result);
  for (const auto& [op, calls] : ops::fallbacks()) set_number(arguments.env(), result, op.c_str(), static_cast<double>(calls));
  return {};
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
