#include "core/status.h"

#include <cstdarg>
#include <cstdio>

namespace forge {

const char* Status::code_name() const {
  switch (code_) {
    case Code::ok: return "OK";
    case Code::handle: return "HANDLE";
    case Code::dtype: return "DTYPE";
    case Code::shape: return "SHAPE";
    case Code::argument: return "ARGUMENT";
    case Code::oom: return "OOM";
    case Code::unsupported: return "UNSUPPORTED";
    case Code::device: return "DEVICE";
    case Code::internal: return "INTERNAL";
  }
  return "INTERNAL";
}

Status failure(Code code, const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return Status(code, text);
}

}  // namespace forge
