#pragma once
#include <string>
#include <utility>

namespace forge {

/** Why an operation was refused; the names are the `code` of the JavaScript error. */
enum class Code { ok, handle, dtype, shape, argument, oom, unsupported, device, internal };

/** Result of every op: ok, or a code with a message that names the op and the shapes. */
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::ok; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  /** The code as JavaScript sees it: "SHAPE", "OOM", … */
  const char* code_name() const;

 private:
  Code code_ = Code::ok;
  std::string message_;
};

/** printf into a Status. */
[[gnu::format(printf, 2, 3)]] Status failure(Code code, const char* format, ...);

}  // namespace forge

/** Returns from the enclosing function when the status is not ok. */
#define FORGE_TRY(expression)                                    \
  do {                                                           \
    if (::forge::Status status_ = (expression); !status_.ok()) { \
      return status_;                                            \
    }                                                            \
  } while (0)
