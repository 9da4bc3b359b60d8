#include "ops/support.h"

#include <cstring>

#include "core/backend.h"

namespace forge::ops {
namespace {

template <auto... Members>
bool has(const Kernels& table) {
  return ((table.*Members != nullptr) && ...);
}

struct Need {
  const char* op;
  bool (*met)(const Kernels& table);
};

using K = Kernels;

// An op that a device shall run is named here with every kernel it calls.
constexpr Need needs[] = {
    // process and tensors: no kernel, or those that a device cannot lack
    {"init", has<>},
    {"deviceProbe", has<>},
    {"supportsOp", has<>},
    {"fallbacks", has<>},
    {"backendInfo", has<>},
    {"memoryStats", has<>},
    {"resetPeak", has<>},
    {"emptyCache", has<>},
    {"beginCapture", has<>},
    {"endCapture", has<>},
    {"abortCapture", has<>},
    {"replayCapture", has<>},
    {"freeCapture", has<>},
    {"alloc", has<>},
    {"full", has<&K::fill>},
    {"free", has<>},
    {"view", has<>},
    {"shapeOf", has<>},
    {"dtypeOf", has<>},
    {"write", has<>},
    {"read", has<>},
    {"readInto", has<>},
    {"item", has<>},
    {"readWeights", has<>},
    {"prefetchFile", has<>},
    {"encodeWeights", has<>},
    {"copy", has<&K::copy_runs>},
    // elementwise
    {"add", has<&K::binary>},
    {"sub", has<&K::binary>},
    {"mul", has<&K::binary>},
    {"div", has<&K::binary>},
    {"addScalar", has<&K::unary>},
    {"mulScalar", has<&K::unary>},
    {"axpy", has<&K::axpy>},
    {"scaleInPlace", has<&K::unary>},
    {"neg", has<&K::unary>},
    {"exp", has<&K::unary>},
    {"log", has<&K::unary>},
    {"tanh", has<&K::unary>},
    {"sigmoid", has<&K::unary>},
    {"silu", has<&K::unary>},
    {"relu", has<&K::unary>},
    {"relu2", has<&K::unary>},
    {"sqrt", has<&K::unary>},
    {"abs", has<&K::unary>},
    {"sign", has<&K::unary>},
    {"siluBackward", has<&K::unary_backward>},
    {"sigmoidBackward", has<&K::unary_backward>},
    {"tanhBackward", has<&K::unary_backward>},
    {"reluBackward", has<&K::unary_backward>},
    {"relu2Backward", has<&K::unary_backward>},
    // reductions
    {"sum", has<&K::reduce>},
    {"mean", has<&K::reduce>},
    {"max", has<&K::reduce>},
    {"argmax", has<&K::argmax>},
    {"sumSquares", has<&K::sum_squares>},
    {"clipScale", has<&K::clip_scale>},
    {"scaleBy", has<&K::scale_by>},
    {"expandScalar", has<&K::expand_scalar>},
    {"sumToShape", has<&K::reduce>},
    {"isFinite", has<&K::is_finite>},
    {"dot", has<&K::dot>},
    // layout
    {"slice", has<&K::copy_runs>},
    {"concat", has<&K::copy_runs>},
    {"permute", has<&K::permute>},
    {"gatherRows", has<&K::gather_rows, &K::check_index, &K::first_outside>},
    {"scatterAddRows", has<&K::scatter_add_rows, &K::check_index, &K::first_outside>},
    // dense products
    {"matmul", has<&K::gemm_scratch, &K::gemm>},
    {"matmulBf16", has<&K::gemm_bf16_scratch, &K::gemm_bf16>},
    {"embedding", has<&K::gather_rows, &K::check_index, &K::first_outside>},
    {"embeddingBackward", has<&K::scatter_add_rows, &K::check_index, &K::first_outside>},
    // normalisation, position, attention, gated units
    {"rmsNorm", has<&K::rms_norm>},
    {"rmsNormBackward", has<&K::rms_norm_backward>},
    {"rope", has<&K::rope>},
    {"attention", has<&K::attention_scratch, &K::attention>},
    {"attentionBackward", has<&K::attention_backward_scratch, &K::attention_backward>},
    {"swiglu", has<&K::swiglu>},
    {"swigluBackward", has<&K::swiglu_backward>},
    {"softmax", has<&K::softmax>},
    {"softmaxBackward", has<&K::softmax_backward>},
    // loss, optimizer
    {"crossEntropy", has<&K::cross_entropy, &K::check_index, &K::first_outside>},
    {"crossEntropyBackward", has<&K::cross_entropy_backward, &K::check_index, &K::first_outside>},
    {"targetWeight", has<&K::target_weight>},
    {"adamw", has<&K::adamw>},
    {"adamwPrepared", has<&K::adamw_prepared>},
    // epilogues, divergences, choices, recurrences, masks
    {"biasActivationInPlace", has<&K::bias_activation>},
    {"klDivergence", has<&K::kl_divergence>},
    {"klDivergenceBackward", has<&K::kl_divergence_backward>},
    {"dropout", has<&K::dropout>},
    {"topK", has<&K::top_k>},
    {"categorical", has<&K::categorical, &K::first_outside>},
    {"linearScan", has<&K::linear_scan>},
    {"linearScanBackward", has<&K::linear_scan_backward>},
    {"rangedAttention", has<&K::ranged_attention_scratch, &K::ranged_attention>},
    {"rangedAttentionBackward", has<&K::ranged_attention_backward>},
    {"adamwGrokfast", has<&K::adamw_grokfast>},
    // merges that are weighted sums
    {"mergeLinear", has<&K::merge_sum, &K::fill>},
    {"mergeSlerp", has<&K::merge_sum, &K::merge_gram, &K::fill>},
    {"mergeNuslerp", has<&K::merge_sum, &K::merge_gram, &K::merge_task_vectors, &K::fill>},
    {"mergeMultislerp", has<&K::merge_sum, &K::merge_gram, &K::merge_task_vectors, &K::fill>},
    {"mergeKarcher", has<&K::merge_sum, &K::merge_gram, &K::fill>},
    {"mergeModelStock", has<&K::merge_sum, &K::merge_gram, &K::fill>},
    {"mergeNearswap", has<&K::merge_nearswap>},
    // random numbers
    {"philoxUniform", has<&K::philox_uniform>},
    {"philoxNormal", has<&K::philox_normal>},
    // quantisation
    {"absmeanQuantize", has<&K::abs_sum, &K::first_not_below, &K::ternary_codes>},
    {"absmeanFakeQuantize", has<&K::abs_sum, &K::ternary_values>},
    {"absmaxQuantize", has<&K::first_not_below, &K::absmax_codes>},
    {"absmaxFakeQuantize", has<&K::absmax_values>},
    {"encodeBlocks", has<&K::first_not_below, &K::encode_blocks>},
    {"decodeBlocks", has<&K::decode_blocks>},
    {"ternaryPack", has<&K::first_bad_code, &K::ternary_pack>},
    {"ternaryUnpack", has<&K::first_bad_code, &K::ternary_unpack>},
    {"ternaryAccumulate", has<&K::pad_codes, &K::ternary_matmul>},
    {"ternaryMatmul", has<&K::absmax_codes, &K::ternary_matmul>},
    // key-value cache
    {"copyRows", has<&K::copy_runs>},
};

}  // namespace

bool supports(const Kernels& table, const char* op) {
  for (const Need& need : needs) {
    if (std::strcmp(need.op, op) == 0) return need.met(table);
  }
  return false;
}

std::vector<const char*> ops_with_kernels() {
  std::vector<const char*> names;
  const Kernels none{};
  for (const Need& need : needs) {
    if (!need.met(none)) names.push_back(need.op);
  }
  return names;
}

bool is_supported(const char* op) { return on_host() || supports(kernels(), op); }

}  // namespace forge::ops
