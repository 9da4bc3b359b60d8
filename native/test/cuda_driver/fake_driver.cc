#include <cstdint>
#include <cstdlib>
#include <cstring>

/**
 * A libcuda.so.1 that offers only what the CUDA runtime asks before there is a device: its version and the result of
 * cuInit, both from the environment. With it the messages for a broken installation are tested on any machine.
 */
namespace {

int number(const char* name) { return std::atoi(std::getenv(name)); }

int refuse() { return 100; }  // CUDA_ERROR_NO_DEVICE

}  // namespace

extern "C" {

int cuDriverGetVersion(int* version) {
  *version = number("FAKE_DRIVER_VERSION");
  return 0;
}

int cuInit(unsigned) { return number("FAKE_DRIVER_INIT"); }

int cuGetProcAddress_v2(const char* name, void** function, int, uint64_t, int* status) {
  if (status != nullptr) *status = 0;
  if (std::strcmp(name, "cuInit") == 0) *function = reinterpret_cast<void*>(cuInit);
  else if (std::strcmp(name, "cuDriverGetVersion") == 0) *function = reinterpret_cast<void*>(cuDriverGetVersion);
  else if (std::strcmp(name, "cuGetProcAddress") == 0) *function = reinterpret_cast<void*>(cuGetProcAddress_v2);
  else *function = reinterpret_cast<void*>(refuse);
  return 0;
}
}
