#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "ops/support.h"

/**
 * An op that the device lacks runs on the processor: its operands cross to host memory, its results cross back. That is
 * slow, so every such call is counted by op, and a process may refuse it.
 */
namespace forge::ops {

void allow_fallback(bool allowed);
bool is_fallback_allowed();

/** UNSUPPORTED, naming the op, when calls that the device lacks are refused. */
Status expect_fallback(const char* op);

/** Calls that ran on the processor because the device in use lacks the op, by op; of all threads. */
std::map<std::string, int64_t> fallbacks();

/** The operands of one such call: on the device, then in host memory, then on the device again. */
class HostOperands {
 public:
  explicit HostOperands(const char* op) : op_(op) {}

  /** Takes note of an operand. Those that are no tensors stay as they are. */
  void add(Tensor& x);
  void add(std::optional<Tensor>& x);
  void add(TensorList& xs);
  template <class T>
  void add(T&) {}

  /** Replaces the operands by copies in host memory that share elements as they do. OOM; INTERNAL: the device failed. */
  Status fetch();

  /** Replaces a result in host memory by one on the device: a new tensor, or a view of the operand that it is one of. */
  Status bring(Tensor& result);
  template <class T>
  Status bring(T&) {
    return {};
  }

  /** Gives the device the elements of operands that the op changed, and counts the call. */
  void finish();

 private:
  /** Operands whose elements overlap, as one run of elements. */
  struct Run {
    char* device;
    Tensor host, before;
  };
  struct Operand {
    Tensor* place;
    Tensor device;
  };
  Status fetch_run(size_t first, size_t last);

  const char* op_;
  std::vector<Operand> operands_;
  std::vector<Run> runs_;
};

}  // namespace forge::ops
