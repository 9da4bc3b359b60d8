#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "core/backend.h"

namespace forge {

/**
 * What a shared library with a backend and this program must agree on. The tables are passed as they are, so their
 * sizes belong to it: a library left over from another build is refused, not called.
 */
constexpr uint64_t backend_version = uint64_t{1} << 32 | uint64_t{sizeof(Kernels)} << 16 | uint64_t{sizeof(Backend)};

/** One place where a device was looked for, why it cannot be used, and what to do about it. */
struct BackendAttempt {
  std::string path;
  std::string cause;
};

/**
 * The backend of a device from its shared library `libforge_<device>.so`: FORGE_<DEVICE>_LIBRARY, or beside this
 * program or addon. Loaded once; null, and a line per path, when none can be used.
 */
const Backend* load_backend(const char* device, std::vector<BackendAttempt>& attempts);

/** DEVICE, with every path tried, for a device that load_backend could not give. */
Status backend_missing(const char* device, const std::vector<BackendAttempt>& attempts);

}  // namespace forge

/** The entry points of such a library. A reason is text for people, with its end, and says what to do. */
extern "C" {
/** forge::backend_version of the build that made the library. */
uint64_t forge_backend_version();
/** How good the device is, from 1; 0, and the reason, when it cannot be used. */
int32_t forge_backend_score(char* reason, size_t size);
/** The device, for the life of the process: threads may use it until then. Null, and the reason, when it fails. */
const forge::Backend* forge_backend_create(char* reason, size_t size);
}
