#include "core/kernel_table.h"

/** The kernels of this instruction set. A new op adds its names here, members in core/kernels.h, and its file. */
namespace forge::FORGE_ISA {

#define FORGE_CPU_KERNELS(USE) \
  USE(copy_runs) USE(fill) USE(permute) USE(gather_rows) USE(first_outside) USE(binary) USE(unary) \
  USE(unary_backward) USE(axpy) USE(reduce) USE(argmax) USE(dot) USE(sum_squares) USE(is_finite) \
  USE(scatter_add_rows) USE(gemm_scratch) USE(gemm) USE(gemm_bf16_scratch) USE(gemm_bf16) USE(rms_norm) \
  USE(rms_norm_backward) USE(rope) USE(attention_scratch) USE(attention) USE(attention_backward_scratch) \
  USE(attention_backward) USE(swiglu) USE(swiglu_backward) USE(softmax) USE(softmax_backward) USE(cross_entropy) \
  USE(cross_entropy_backward) USE(adamw) USE(philox_uniform) USE(philox_normal) USE(bias_activation) \
  USE(kl_divergence) USE(kl_divergence_backward) USE(dropout) USE(top_k) USE(categorical) USE(linear_scan) \
  USE(linear_scan_backward) USE(ranged_attention_scratch) USE(ranged_attention) USE(ranged_attention_backward) \
  USE(adamw_grokfast) USE(svd_scratch) USE(svd) USE(merge_sum) USE(merge_gram) USE(merge_task_vectors) \
  USE(merge_cuts_scratch) USE(merge_cuts) USE(merge_bernoulli) USE(merge_della_scratch) USE(merge_della) \
  USE(merge_magnitudes) USE(merge_variance) USE(merge_squares) USE(merge_sce) USE(merge_overlaps) USE(merge_ram) \
  USE(merge_nearswap) USE(merge_importance) USE(merge_choose) USE(first_not_below) USE(first_bad_code) USE(abs_sum) USE(ternary_codes) \
  USE(ternary_values) USE(absmax_codes) USE(absmax_values) USE(encode_blocks) USE(decode_blocks) \
  USE(ternary_pack) USE(ternary_unpack) USE(pad_codes) USE(ternary_matmul) USE(seedlm_scratch) USE(seedlm_encode) \
  USE(seedlm_decode) USE(nearest_centroid) USE(widen_weights) USE(narrow_weights)

FORGE_CPU_KERNELS(FORGE_DECLARE_KERNEL)

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // what only a device needs is null
static constexpr Kernels kernels_here = {FORGE_CPU_KERNELS(FORGE_USE_KERNEL)};

extern const Kernels table;
const Kernels table = kernels_here;

#if defined(__AVX512F__)
// The same kernels, but for the one that gains from int8 dot products (AVX-512 VNNI).
void ternary_matmul_vnni(const TernaryMatmul&);

static constexpr Kernels with_vnni() {
  Kernels vnni = kernels_here;
  vnni.ternary_matmul = ternary_matmul_vnni;
  return vnni;
}

extern const Kernels vnni_table;
const Kernels vnni_table = with_vnni();
#endif

}  // namespace forge::FORGE_ISA
