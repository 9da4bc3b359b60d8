#include <cstdlib>
#include <cstring>

#include "core/backend_library.h"
#include "cuda_emulation/backend.h"

/**
 * The emulation as a backend library, for programs that ask for `cuda`: FORGE_CUDA_LIBRARY=…/libforge_cuda_emulated.so.
 * FORGE_EMULATION=bare gives a device without kernels, on which every op runs on the processor.
 */
namespace {

const forge::Backend& chosen() {
  static constexpr forge::Kernels none{};
  static const forge::Backend bare = [] {
    forge::Backend backend = emulation::backend();
    backend.kernels = &none;
    return backend;
  }();
  const char* const setting = std::getenv("FORGE_EMULATION");
  return setting != nullptr && std::strcmp(setting, "bare") == 0 ? bare : emulation::backend();
}

}  // namespace

extern "C" {

[[gnu::visibility("default")]] uint64_t forge_backend_version() { return forge::backend_version; }
[[gnu::visibility("default")]] int32_t forge_backend_score(char*, size_t) { return 1; }
[[gnu::visibility("default")]] const forge::Backend* forge_backend_create(char*, size_t) { return &chosen(); }
}
