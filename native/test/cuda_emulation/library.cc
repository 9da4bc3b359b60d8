#include "core/backend_library.h"
#include "cuda_emulation/backend.h"

/** The emulation as a backend library, for programs that ask for `cuda`: FORGE_CUDA_LIBRARY=…/libforge_cuda_emulated.so. */
extern "C" {

[[gnu::visibility("default")]] uint64_t forge_backend_version() { return forge::backend_version; }
[[gnu::visibility("default")]] int32_t forge_backend_score(char*, size_t) { return 1; }
[[gnu::visibility("default")]] const forge::Backend* forge_backend_create(char*, size_t) { return &emulation::backend(); }
[[gnu::visibility("default")]] void forge_backend_destroy(const forge::Backend*) {}
}
