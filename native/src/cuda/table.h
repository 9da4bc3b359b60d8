#pragma once
#include "core/kernels.h"

/** The host entry points of the kernels, as core/kernels.h describes them. */
namespace forge::cuda {

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

extern const Kernels table;

/** A kernel to ask the device about: whether the library has code for it. */
const void* probe_kernel();

}  // namespace forge::cuda
