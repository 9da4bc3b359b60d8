#include "core/backend.h"

#include <cstring>

#include "core/allocator.h"

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

Status backend_status() {
  if (on_host()) return {};
  const char* error = backend().take_error();
  return error == nullptr ? Status{} : failure(Code::internal, "%s: %s", backend().device, error);
}

}  // namespace forge
