#include "ops/fallback.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

#include "core/backend.h"
#include "core/capture.h"

namespace forge::ops {
namespace {

std::atomic<bool> allowed{true};

std::mutex mutex;
std::map<std::string, int64_t>& counts() {
  static auto* calls = new std::map<std::string, int64_t>();  // never destroyed: threads may outlive static destructors
  return *calls;
}

char* begin_of(const Tensor& x) { return static_cast<char*>(x.data()); }
char* end_of(const Tensor& x) { return begin_of(x) + x.bytes(); }

}  // namespace

void allow_fallback(bool is_allowed) { allowed.store(is_allowed); }
bool is_fallback_allowed() { return allowed.load(); }

Status expect_fallback(const char* op) {
  if (is_capturing()) {
    return failure(Code::unsupported, "%s: cannot be part of a captured step: device %s has no such op, and the processor cannot be recorded",
                   op, backend().device);
  }
  if (is_fallback_allowed()) return {};
  return failure(Code::unsupported, "%s: device %s has no such op; device cpu has", op, backend().device);
}

std::map<std::string, int64_t> fallbacks() {
  const std::lock_guard lock(mutex);
  return counts();
}

void HostOperands::add(Tensor& x) { operands_.push_back({&x, x}); }

void HostOperands::add(std::optional<Tensor>& x) {
  if (x) add(*x);
}

void HostOperands::add(TensorList& xs) {
  for (Tensor& x : xs) add(x);
}

Status HostOperands::fetch_run(size_t first, size_t last) {
  const Tensor& front = operands_[first].device;
  char* end = begin_of(front);
  for (size_t i = first; i < last; ++i) end = std::max(end, end_of(operands_[i].device));
  const int64_t bytes = end - begin_of(front), size = size_of(front.dtype());
  Run run{begin_of(front), {}, {}};
  {
    const OnProcessor scope;
    FORGE_TRY(empty(op_, front.dtype(), {bytes / size}, run.host));
    FORGE_TRY(empty(op_, front.dtype(), {bytes / size}, run.before));
  }
  copy_out(run.host.data(), run.device, bytes);
  if (bytes > 0) std::memcpy(run.before.data(), run.host.data(), static_cast<size_t>(bytes));
  for (size_t i = first; i < last; ++i) {
    const Tensor& device = operands_[i].device;
    *operands_[i].place = run.host.view((begin_of(device) - run.device) / size, device.shape());
  }
  runs_.push_back(std::move(run));
  return {};
}

Status HostOperands::fetch() {
  std::sort(operands_.begin(), operands_.end(),
            [](const Operand& a, const Operand& b) { return begin_of(a.device) < begin_of(b.device); });
  for (size_t first = 0; first < operands_.size();) {
    size_t last = first + 1;
    for (char* end = end_of(operands_[first].device);
         last < operands_.size() && begin_of(operands_[last].device) < end; ++last) {
      end = std::max(end, end_of(operands_[last].device));
    }
    FORGE_TRY(fetch_run(first, last));
    first = last;
  }
  return backend_status();
}

Status HostOperands::bring(Tensor& result) {
  for (const Operand& operand : operands_) {
    const Tensor& host = *operand.place;
    if (!result.overlaps(host) || begin_of(result) < begin_of(host) || end_of(result) > end_of(host)) continue;
    result = operand.device.view((begin_of(result) - begin_of(host)) / size_of(host.dtype()), result.shape());
    return {};
  }
  Tensor device;
  FORGE_TRY(empty(op_, result.dtype(), result.shape(), device));
  copy_in(device.data(), result.data(), result.bytes());
  result = std::move(device);
  return {};
}

void HostOperands::finish() {
  for (const Run& run : runs_) {
    if (run.host.bytes() == 0) continue;
    if (std::memcmp(run.host.data(), run.before.data(), static_cast<size_t>(run.host.bytes())) == 0) continue;
    copy_in(run.device, run.host.data(), run.host.bytes());
  }
  const std::lock_guard lock(mutex);
  counts()[op_] += 1;
}

}  // namespace forge::ops
