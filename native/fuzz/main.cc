/** The entry points of libFuzzer, see https://llvm.org/docs/LibFuzzer.html. One thread: inputs are tried one by one. */
#include "core/parallel.h"
#include "ops_fuzz.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  forge::start_pool(1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t count) {
  forge::fuzz::run_ops(bytes, count);
  return 0;
}
