#include "core/backend.h"

#include <cstring>

#include "core/allocator.h"
#include "core/capture.h"

namespace forge {
namespace {

constexpr Backend processor = {
    .device = "cpu",
    .kernels = nullptr,
    .memory_limit = default_memory_limit,
    .allocate = nullptr,
    .release = nullptr,
    .queue = nullptr,
    .copy_in = nullptr,
    .copy_out = nullptr,
    .take_error = nullptr,
    .describe = nullptr,
    .take_fault = nullptr,
    .begin_capture = nullptr,
    .end_capture = nullptr,
    .replay = nullptr,
    .forget = nullptr,
};

}  // namespace

std::atomic<const Backend*> detail::selected_backend{&processor};
constinit thread_local bool detail::on_processor = false;

const Backend& cpu_backend() { return processor; }

void select_backend(const Backend& chosen) {
  detail::selected_backend.store(&chosen);
  use_kernels(chosen.kernels);
  Allocator::use(chosen);
}

void copy_in(void* to, const void* from, int64_t bytes) {
  if (bytes <= 0) return;
  if (on_host()) std::memcpy(to, from, static_cast<size_t>(bytes));
  else backend().copy_in(to, from, bytes);
}

void copy_out(void* to, const void* from, int64_t bytes) {
  if (bytes <= 0) return;
  if (on_host()) std::memcpy(to, from, static_cast<size_t>(bytes));
  else backend().copy_out(to, from, bytes);
}

Status backend_status(const char* op) {
  if (on_host()) return {};
  if (const char* error = backend().take_error()) {
    return is_capturing() ? failure(Code::unsupported, "%s: cannot be part of a captured step: %s", op, error)
                          : failure(Code::internal, "%s: %s", backend().device, error);
  }
  IndexFault fault{};
  return backend().take_fault(&fault) ? index_failure(fault) : Status{};
}

Status index_failure(const IndexFault& fault) {
  const auto position = static_cast<long long>(fault.position), last = static_cast<long long>(fault.limit - 1);
  if (fault.exception == no_exception) {
    return failure(Code::argument, "%s: index %d at position %lld, needs 0 to %lld", fault.op, fault.value, position, last);
  }
  return failure(Code::argument, "%s: target %d in row %lld, needs 0 to %lld or ignoreIndex %lld", fault.op, fault.value,
                 position, last, static_cast<long long>(fault.exception));
}

}  // namespace forge
