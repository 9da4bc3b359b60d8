#pragma once
#include "core/kernels.h"

/** What the merge kernels need beyond cuda/device.h. */
namespace forge::cuda {

/** Host memory to device memory, before what this thread starts next; `from` may be changed afterwards. */
void write(void* to, const void* from, int64_t bytes);

}  // namespace forge::cuda
