#pragma once
#include <memory>
#include <unordered_set>
#include <vector>

#include "core/tensor.h"

/**
 * A step of work that is recorded once and replayed: kernels with the arguments and addresses they were launched with. Between
 * begin_capture and end_capture nothing runs on the device. Replays read and write the same memory, so what changes from
 * step to step lies in tensors that are written before each.
 */
namespace forge {

/** Recorded work of one thread, which replays and destroys it; its memory is its own while it lives. */
class CapturedStep {
 public:
  CapturedStep(const CapturedStep&) = delete;
  CapturedStep& operator=(const CapturedStep&) = delete;
  ~CapturedStep();

  /** Runs it, after all earlier work of this thread. INTERNAL: the device failed. */
  Status replay();

 private:
  friend Status begin_capture();
  friend Status end_capture(std::unique_ptr<CapturedStep>& step);
  friend void hold(const Tensor& x);
  CapturedStep() = default;

  void* work_ = nullptr;
  Allocator* home_ = nullptr;
  int64_t pool_ = 0;
  /** Tensors from before that it reads or writes. */
  std::vector<Tensor> held_;
  std::unordered_set<void*> held_blocks_;
};

/** Whether the device in use records steps. */
bool can_capture();
/** Whether the calling thread records one. */
bool is_capturing();

/** UNSUPPORTED: the device does not record; ARGUMENT: this thread already does; INTERNAL: the device failed. */
Status begin_capture();
/** ARGUMENT: nothing is recorded; INTERNAL: the device failed. The recording has ended either way. */
Status end_capture(std::unique_ptr<CapturedStep>& step);
/** Ends a recording, if there is one, and forgets it. */
void abort_capture();

/** Keeps the memory of a tensor that the work being recorded uses, for as long as that can be replayed. */
void hold(const Tensor& x);

}  // namespace forge
