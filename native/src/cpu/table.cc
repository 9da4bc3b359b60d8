#include "core/kernels.h"

/** The kernels of this instruction set. A new op adds a line here, a member in core/kernels.h, and its file. */
namespace forge::FORGE_ISA {

void copy_runs(void*, int64_t, const void*, int64_t, int64_t, int64_t);
void fill(void*, int64_t, const void*, int64_t);
void permute(const Permutation&, const void*, void*, int64_t);
void gather_rows(const void*, const int32_t*, void*, int64_t, int64_t);
int64_t first_outside(const int32_t*, int64_t, int64_t, int64_t);
void binary(Binary, const float*, const float*, float*, int64_t, int64_t);
void unary(Unary, const float*, float, float*, int64_t);
void unary_backward(UnaryBackward, const float*, const float*, float*, int64_t);
void axpy(float*, float, const float*, int64_t);
void reduce(Reduction, const float*, float*, int64_t, int64_t, int64_t);
void argmax(const float*, int32_t*, int64_t, int64_t);
double dot(const float*, const float*, int64_t);
double sum_squares(const float* const*, const int64_t*, int64_t);
bool is_finite(const float* const*, const int64_t*, int64_t);
void scatter_add_rows(float*, const int32_t*, const float*, int64_t, int64_t);
int64_t gemm_scratch(const Gemm&);
void gemm(const Gemm&, float*);
int64_t gemm_bf16_scratch(const Gemm&);
void gemm_bf16(const Gemm&, float*);
void rms_norm(const float*, const float*, float, float*, float*, int64_t, int64_t);
void rms_norm_backward(const float*, const float*, const float*, const float*, float*, float*, float*, int64_t,
                       int64_t);
void rope(const float*, const float*, const float*, float*, int64_t, int64_t, int64_t, int64_t, bool, bool);
int64_t attention_scratch(const AttentionShape&);
void attention(const AttentionShape&, const float*, const float*, const float*, float*, float*, float*);
int64_t attention_backward_scratch(const AttentionShape&);
void attention_backward(const AttentionShape&, const float*, const float*, const float*, const float*, const float*,
                        const float*, float*, float*, float*, float*);
void swiglu(const float*, const float*, float*, int64_t);
void swiglu_backward(const float*, const float*, const float*, float*, float*, int64_t);
void softmax(const float*, float*, int64_t, int64_t);
void softmax_backward(const float*, const float*, float*, int64_t, int64_t);
void cross_entropy(const float*, const int32_t*, float*, float*, int64_t, int64_t, int32_t);
void cross_entropy_backward(const float*, const int32_t*, const float*, const float*, float, float*, int64_t, int64_t,
                            int32_t);
void adamw(float*, const float*, float*, float*, int64_t, const AdamW&);
void philox_uniform(float*, int64_t, const Philox&);
void philox_normal(float*, int64_t, const Philox&, float, float);
void bias_activation(float*, const float*, Activation, int64_t, int64_t);
void kl_divergence(const float*, const float*, float*, float*, float*, int64_t, int64_t);
void kl_divergence_backward(const float*, const float*, const float*, const float*, const float*, const float*, float,
                            float*, float*, int64_t, int64_t);
void dropout(const float*, float*, int64_t, double, const Philox&);
void top_k(const float*, float*, int32_t*, int64_t, int64_t, int64_t);
void categorical(const float*, int32_t*, int64_t, int64_t, const Philox&);
void linear_scan(const float*, const float*, const float*, float*, int64_t, int64_t, int64_t);
void linear_scan_backward(const float*, const float*, const float*, const float*, float*, float*, float*, int64_t,
                          int64_t, int64_t);
int64_t ranged_attention_scratch(const AttentionShape&);
void ranged_attention(const AttentionShape&, const int32_t*, int64_t, const float*, const float*, const float*, float*,
                      float*, float*);
void ranged_attention_backward(const AttentionShape&, const int32_t*, int64_t, const float*, const float*, const float*,
                               const float*, const float*, const float*, float*, float*, float*);
void adamw_grokfast(float*, const float*, float*, float*, float*, int64_t, const AdamW&, const Grokfast&);
int64_t svd_scratch(int64_t, int64_t);
bool svd(const float*, int64_t, int64_t, float*, float*, float*, void*);
void merge_sum(const MergeSources&, const double*, float*);
void merge_gram(const MergeSources&, double*, double*);
void merge_task_vectors(const MergeSources&, const MergeKeep*, const MergeMix&, float*);
int64_t merge_cut_scratch(int64_t);
MergeCut merge_cut(const float*, const float*, int64_t, int64_t, void*);
void merge_bernoulli(uint64_t*, int64_t, double, const Philox&);
int64_t merge_della_scratch(int64_t);
void merge_della(const float*, const float*, int64_t, int64_t, double, double, const Philox&, uint64_t*, void*);
void merge_magnitudes(const float*, const float*, int64_t, const MergeKeep&, double*, double*);
int64_t merge_variance(const MergeSources&, float*, double*);
void merge_squares(const MergeSources&, const float*, const MergeCut&, double*, double*);
void merge_sce(const MergeSources&, const double*, const float*, const MergeCut&, float*);
void merge_overlaps(const MergeSources&, float, double*, double*);
void merge_ram(const MergeSources&, float, const double*, float*);
void merge_nearswap(const float*, const float*, double, float*, int64_t);
void merge_importance(const float*, const float*, float*, int64_t, int64_t);
void merge_choose(const float*, const float*, const float*, float, float*, int64_t);

// quantisation
double abs_sum(const float*, int64_t);
void ternary_codes(const float*, float, int8_t*, int64_t);
void ternary_values(const float*, float, float, float*, int64_t);
void absmax_codes(const float*, int8_t*, int64_t, float*, int32_t*, int64_t, int64_t);
void absmax_values(const float*, float*, int64_t, int64_t);
void encode_blocks(BlockFormat, const float*, uint8_t*, int64_t);
void decode_blocks(BlockFormat, const uint8_t*, float*, int64_t);
void ternary_pack(const int8_t*, uint8_t*, int64_t, int64_t);
void ternary_unpack(const uint8_t*, int8_t*, int64_t, int64_t);
void ternary_matmul(const TernaryMatmul&);
int64_t seedlm_scratch(const SeedLm&, int64_t);
void seedlm_encode(const SeedLm&, const float*, int64_t, int32_t*, int8_t*, float*);
void seedlm_decode(const SeedLm&, const int32_t*, const int8_t*, float, float*, int64_t);
void nearest_centroid(const float*, const float*, int64_t, int64_t, int64_t, int32_t*, float*);

#define FORGE_USE(name) .name = name

static constexpr Kernels kernels_here = {
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
    FORGE_USE(bias_activation),
    FORGE_USE(kl_divergence),
    FORGE_USE(kl_divergence_backward),
    FORGE_USE(dropout),
    FORGE_USE(top_k),
    FORGE_USE(categorical),
    FORGE_USE(linear_scan),
    FORGE_USE(linear_scan_backward),
    FORGE_USE(ranged_attention_scratch),
    FORGE_USE(ranged_attention),
    FORGE_USE(ranged_attention_backward),
    FORGE_USE(adamw_grokfast),
    FORGE_USE(svd_scratch),
    FORGE_USE(svd),
    FORGE_USE(merge_sum),
    FORGE_USE(merge_gram),
    FORGE_USE(merge_task_vectors),
    FORGE_USE(merge_cut_scratch),
    FORGE_USE(merge_cut),
    FORGE_USE(merge_bernoulli),
    FORGE_USE(merge_della_scratch),
    FORGE_USE(merge_della),
    FORGE_USE(merge_magnitudes),
    FORGE_USE(merge_variance),
    FORGE_USE(merge_squares),
    FORGE_USE(merge_sce),
    FORGE_USE(merge_overlaps),
    FORGE_USE(merge_ram),
    FORGE_USE(merge_nearswap),
    FORGE_USE(merge_importance),
    FORGE_USE(merge_choose),
    FORGE_USE(abs_sum),
    FORGE_USE(ternary_codes),
    FORGE_USE(ternary_values),
    FORGE_USE(absmax_codes),
    FORGE_USE(absmax_values),
    FORGE_USE(encode_blocks),
    FORGE_USE(decode_blocks),
    FORGE_USE(ternary_pack),
    FORGE_USE(ternary_unpack),
    FORGE_USE(ternary_matmul),
    FORGE_USE(seedlm_scratch),
    FORGE_USE(seedlm_encode),
    FORGE_USE(seedlm_decode),
    FORGE_USE(nearest_centroid),
};

}  // namespace forge::FORGE_ISA

namespace forge::FORGE_ISA {

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
