#pragma once
#include "core/backend.h"

namespace emulation {

/** The kernels of src/cuda, run by fibers on host memory. For one thread. */
const forge::Backend& backend();

/** In which order the threads of a block run between barriers. */
void set_descending(bool last_thread_first);

}  // namespace emulation
