#include "cuda/table.h"

#include "cuda/gemm_library.h"
#include "cuda/merge.h"

/** The kernels of the CUDA backend. An op that it lacks has no line here and is refused as UNSUPPORTED. */
namespace forge::cuda {

#define FORGE_USE(name) .name = name
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // what the device lacks is null

const Kernels table = {
    FORGE_USE(copy_runs),
    FORGE_USE(fill),
    FORGE_USE(permute),
    FORGE_USE(gather_rows),
    FORGE_USE(first_outside),
    FORGE_USE(binary),
    FORGE_USE(unary),
    FORGE_USE(unary_backward),
    FORGE_USE(axpy),
    FORGE_USE(reduce),
    FORGE_USE(argmax),
    FORGE_USE(dot),
    FORGE_USE(sum_squares),
    FORGE_USE(is_finite),
    FORGE_USE(scatter_add_rows),
    FORGE_USE(gemm_scratch),
    FORGE_USE(gemm),
    FORGE_USE(gemm_bf16_scratch),
    FORGE_USE(gemm_bf16),
    FORGE_USE(rms_norm),
    FORGE_USE(rms_norm_backward),
    FORGE_USE(rope),
    FORGE_USE(attention_scratch),
    FORGE_USE(attention),
    FORGE_USE(attention_backward_scratch),
    FORGE_USE(attention_backward),
    FORGE_USE(swiglu),
    FORGE_USE(swiglu_backward),
    FORGE_USE(softmax),
    FORGE_USE(softmax_backward),
    FORGE_USE(cross_entropy),
    FORGE_USE(cross_entropy_backward),
    FORGE_USE(adamw),
    FORGE_USE(philox_uniform),
    FORGE_USE(philox_normal),
    FORGE_USE(merge_sum),
    FORGE_USE(merge_gram),
    FORGE_USE(merge_task_vectors),
    FORGE_USE(merge_nearswap),
};

}  // namespace forge::cuda
