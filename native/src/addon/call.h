#pragma once
/**
 * From JavaScript arguments to an op and back. `bind<op>` derives the conversion from the op's C++
 * signature: Status op(inputs…, outputs…). No exception leaves this file; on error nothing has changed
 * and a JavaScript Error with a code is pending.
 */
#include <node_api.h>

#include <cmath>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>

#include "core/backend.h"
#include "core/capture.h"
#include "core/tensor_table.h"
#include "ops/fallback.h"

namespace forge::addon {

/** What one JavaScript thread owns. */
struct Instance {
  TensorTable tensors;
  /** Captured steps by number. */
  std::map<uint32_t, std::unique_ptr<CapturedStep>> steps;
  uint32_t last_step = 0;
  ~Instance() { abort_capture(); }
};

Instance& instance_of(napi_env env);

/** Throws a JavaScript Error with message and code; returns null for the caller to return. A pending exception stays. */
napi_value throw_status(napi_env env, const Status& status);

/** One call: the arguments not yet read, by position. */
class Arguments {
 public:
  static constexpr size_t most = 16;
  Arguments(napi_env env, napi_callback_info info, const char* op);

  napi_env env() const { return env_; }
  const char* op() const { return op_; }
  /** Whether the device in use runs the op. */
  bool on_device() const { return on_device_; }
  Instance& instance() const { return instance_of(env_); }
  /** The next argument; undefined beyond the last. */
  napi_value next() { return values_[at_ < most ? at_++ : most - 1]; }
  /** Argument i as it came. */
  napi_value at(size_t i) const { return values_[i]; }
  size_t position() const { return at_; }

 private:
  napi_env env_;
  const char* op_;
  bool on_device_;
  napi_value values_[most];
  size_t at_ = 0;
};

Status read(Arguments& arguments, double& value);
/** An integer of at most 2^53 in magnitude. */
Status read(Arguments& arguments, int64_t& value);
Status read(Arguments& arguments, uint32_t& value);
Status read(Arguments& arguments, bool& value);
Status read(Arguments& arguments, DType& value);
/** An array of at most six integers. */
Status read(Arguments& arguments, Shape& value);
Status read(Arguments& arguments, Tensor& value);
/** null and undefined give nothing. */
Status read(Arguments& arguments, std::optional<Tensor>& value);
Status read(Arguments& arguments, TensorList& value);
/** A text of at most 255 bytes. */
Status read(Arguments& arguments, std::string& value);
/** An array of at most 65536 numbers. */
Status read(Arguments& arguments, std::vector<double>& value);

Status write(Arguments& arguments, Tensor& value, napi_value& result);
Status write(Arguments& arguments, double value, napi_value& result);
Status write(Arguments& arguments, bool value, napi_value& result);

/** How a parameter type is stored between reading and calling. */
template <class P>
struct Stored {
  using type = std::remove_cvref_t<P>;
  static type& pass(type& value) { return value; }
};
template <>
struct Stored<const Tensor*> {
  using type = std::optional<Tensor>;
  static const Tensor* pass(type& value) { return value ? &*value : nullptr; }
};

/** Outputs are the parameters taken by non-const reference. */
template <class P>
constexpr bool is_output = std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>;

/** Calls an op with its parameters: on the device or, counted, on the processor when the device lacks it. */
template <class... P>
Status invoke(const Arguments& arguments, Status (*op)(P...), std::type_identity_t<typename Stored<P>::type>&... values) {
  if (arguments.on_device()) return op(Stored<P>::pass(values)...);
  ops::HostOperands operands(arguments.op());
  const auto add = [&]<class Q>(auto& value) {
    if constexpr (!is_output<Q>) operands.add(value);
  };
  (add.template operator()<P>(values), ...);
  FORGE_TRY(operands.fetch());
  {
    const OnProcessor scope;
    FORGE_TRY(op(Stored<P>::pass(values)...));
  }
  Status status;
  const auto bring = [&]<class Q>(auto& value) {
    if constexpr (is_output<Q>) {
      if (status.ok()) status = operands.bring(value);
    }
  };
  (bring.template operator()<P>(values), ...);
  if (status.ok()) operands.finish();
  return status;
}

/** One result as itself, several as an array, none as undefined. */
napi_value pack_results(napi_env env, const napi_value* results, size_t count);

template <class... P>
napi_value call(Arguments& arguments, Status (*op)(P...)) {
  std::tuple<typename Stored<P>::type...> values;
  Status status;
  const auto read_one = [&]<class Q>(auto& value) {
    if constexpr (!is_output<Q>) {
      if (status.ok()) status = read(arguments, value);
    }
  };
  const auto write_all = [&]<size_t... I>(std::index_sequence<I...>) -> napi_value {
    (read_one.template operator()<P>(std::get<I>(values)), ...);
    if (status.ok()) status = invoke(arguments, op, std::get<I>(values)...);
    if (status.ok()) status = backend_status(arguments.op());
    napi_value results[sizeof...(P) + 1];
    size_t count = 0;
    const auto write_one = [&]<class Q>(auto& value) {
      if constexpr (is_output<Q>) {
        if (status.ok()) status = write(arguments, value, results[count++]);
      }
    };
    (write_one.template operator()<P>(std::get<I>(values)), ...);
    if (!status.ok()) return throw_status(arguments.env(), status);
    return pack_results(arguments.env(), results, count);
  };
  return write_all(std::index_sequence_for<P...>{});
}

/** Runs f(arguments) -> napi_value and turns C++ exceptions into JavaScript ones. */
template <class F>
napi_value guarded(napi_env env, napi_callback_info info, const F& f) noexcept {
  void* name = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &name);
  try {
    Arguments arguments(env, info, static_cast<const char*>(name));
    const Status allowed = arguments.on_device() ? Status{} : ops::expect_fallback(arguments.op());
    return allowed.ok() ? f(arguments) : throw_status(env, allowed);
  } catch (const std::bad_alloc&) {
    return throw_status(env, failure(Code::oom, "%s: out of memory", static_cast<const char*>(name)));
  } catch (const std::exception& error) {
    return throw_status(env, failure(Code::internal, "%s: %s", static_cast<const char*>(name), error.what()));
  } catch (...) {
    return throw_status(env, failure(Code::internal, "%s: unknown exception", static_cast<const char*>(name)));
  }
}

/** The N-API callback of an op. */
template <auto Op>
napi_value bind(napi_env env, napi_callback_info info) noexcept {
  return guarded(env, info, [](Arguments& arguments) { return call(arguments, Op); });
}

/** The N-API callback of a function written for the edge: f(arguments, result). */
template <Status (*Function)(Arguments&, napi_value&)>
napi_value bind_edge(napi_env env, napi_callback_info info) noexcept {
  return guarded(env, info, [env](Arguments& arguments) -> napi_value {
    napi_value result = nullptr;
    Status status = Function(arguments, result);
    if (status.ok()) status = backend_status(arguments.op());
    return status.ok() ? result : throw_status(env, status);
  });
}

}  // namespace forge::addon
