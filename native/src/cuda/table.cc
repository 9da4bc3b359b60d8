#include "cuda/table.h"

namespace forge::cuda {

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // what the device lacks is null
const Kernels table = {FORGE_CUDA_KERNELS(FORGE_USE_KERNEL)};

}  // namespace forge::cuda
