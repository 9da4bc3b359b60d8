#include "addon/edge.h"
#include "core/capture.h"

namespace forge::addon {
namespace {

Status find_step(Arguments& arguments, uint32_t& number) {
  FORGE_TRY(read(arguments, number));
  if (arguments.instance().steps.count(number) != 0) return {};
  return failure(Code::handle, "%s: this thread has no captured step %u", arguments.op(), number);
}

}  // namespace

Status begin_capture_edge(Arguments&, napi_value&) { return begin_capture(); }

Status end_capture_edge(Arguments& arguments, napi_value& result) {
  std::unique_ptr<CapturedStep> step;
  FORGE_TRY(end_capture(step));
  Instance& instance = arguments.instance();
  instance.steps[++instance.last_step] = std::move(step);
  return write(arguments, static_cast<double>(instance.last_step), result);
}

Status abort_capture_edge(Arguments&, napi_value&) {
  abort_capture();
  return {};
}

Status replay_capture(Arguments& arguments, napi_value&) {
  uint32_t number;
  FORGE_TRY(find_step(arguments, number));
  if (is_capturing()) return failure(Code::unsupported, "replayCapture: a captured step cannot replay another");
  return arguments.instance().steps[number]->replay();
}

Status free_capture(Arguments& arguments, napi_value&) {
  uint32_t number;
  FORGE_TRY(find_step(arguments, number));
  arguments.instance().steps.erase(number);
  return {};
}

}  // namespace forge::addon
