#pragma once
#include "core/kernel_table.h"

/** The kernels of the CUDA backend. An op that needs one without a name here runs on the processor. */
namespace forge::cuda {

#define FORGE_CUDA_KERNELS(USE) \
  USE(copy_runs) USE(fill) USE(permute) USE(gather_rows) USE(first_outside) USE(check_index) USE(binary) USE(unary) \
  USE(unary_backward) USE(axpy) USE(reduce) USE(argmax) USE(dot) USE(sum_squares) USE(is_finite) \
  USE(clip_scale) USE(target_weight) USE(scale_by) USE(expand_scalar) \
  USE(scatter_add_rows) USE(gemm_scratch) USE(gemm) USE(gemm_bf16_scratch) USE(gemm_bf16) USE(rms_norm) \
  USE(rms_norm_backward) USE(rope) USE(attention_scratch) USE(attention) USE(attention_backward_scratch) \
  USE(attention_backward) USE(swiglu) USE(swiglu_backward) USE(softmax) USE(softmax_backward) USE(cross_entropy) \
  USE(cross_entropy_backward) USE(adamw) USE(philox_uniform) USE(philox_normal) USE(bias_activation) \
  USE(kl_divergence) USE(kl_divergence_backward) USE(dropout) USE(top_k) USE(categorical) USE(linear_scan) \
  USE(linear_scan_backward) USE(ranged_attention_scratch) USE(ranged_attention) USE(ranged_attention_backward) \
  USE(adamw_grokfast) USE(adamw_prepared) USE(merge_sum) USE(merge_gram) USE(merge_task_vectors) USE(merge_nearswap) \
  USE(first_not_below) USE(first_bad_code) USE(abs_sum) USE(ternary_codes) USE(ternary_values) USE(absmax_codes) \
  USE(absmax_values) USE(encode_blocks) USE(decode_blocks) USE(ternary_pack) USE(ternary_unpack) USE(pad_codes) \
  USE(ternary_matmul)

FORGE_CUDA_KERNELS(FORGE_DECLARE_KERNEL)

extern const Kernels table;

/** A kernel to ask the device about: whether the library has code for it. */
const void* probe_kernel();

}  // namespace forge::cuda
