#include "core/capture.h"

#include "core/allocator.h"
#include "core/backend.h"

namespace forge {
namespace {

thread_local std::unique_ptr<CapturedStep> recording;

}  // namespace

CapturedStep::~CapturedStep() {
  if (work_ != nullptr) backend().forget(work_);
  home_->close_pool(pool_);
}

Status CapturedStep::replay() {
  backend().replay(work_);
  return backend_status("replay");
}

bool can_capture() { return backend().begin_capture != nullptr; }

bool is_capturing() { return recording != nullptr; }

Status begin_capture() {
  if (!can_capture()) return failure(Code::unsupported, "beginCapture: device %s does not record steps", backend().device);
  if (is_capturing()) return failure(Code::argument, "beginCapture: this thread already records a step");
  FORGE_TRY(backend_status("beginCapture"));
  backend().begin_capture();
  FORGE_TRY(backend_status("beginCapture"));
  recording.reset(new CapturedStep());
  recording->home_ = &Allocator::instance();
  recording->pool_ = recording->home_->open_pool();
  return {};
}

Status end_capture(std::unique_ptr<CapturedStep>& step) {
  if (!is_capturing()) return failure(Code::argument, "endCapture: this thread records no step");
  std::unique_ptr<CapturedStep> ended = std::move(recording);
  ended->home_->seal_pool();
  ended->work_ = backend().end_capture();
  FORGE_TRY(backend_status("endCapture"));
  step = std::move(ended);
  return {};
}

void abort_capture() {
  std::unique_ptr<CapturedStep> step;
  if (is_capturing()) static_cast<void>(end_capture(step));
}

void hold(const Tensor& x) {
  if (!is_capturing() || recording->home_->is_pooled(x.block())) return;
  if (recording->held_blocks_.insert(x.block()).second) recording->held_.push_back(x);
}

}  // namespace forge
