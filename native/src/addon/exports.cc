#include <cstring>
#include <new>

#include "addon/edge.h"
#include "ops/ops.h"

/** The functions of the addon, in the order of addon.ts, addon-merge.ts, addon-quantize.ts. An op adds one line. */
namespace forge::addon {
namespace {

struct Export {
  const char* name;
  napi_callback callback;
};

constexpr Export exports[] = {
    // process
    {"init", bind_edge<init>},
    {"deviceProbe", bind_edge<device_probe>},
    {"backendInfo", bind_edge<backend_info>},
    {"supportsOp", bind_edge<supports_op>},
    {"fallbacks", bind_edge<fallbacks>},
    {"memoryStats", bind_edge<memory_stats>},
    {"resetPeak", bind_edge<reset_peak>},
    {"emptyCache", bind_edge<empty_cache>},
    // captured steps
    {"beginCapture", bind_edge<begin_capture_edge>},
    {"endCapture", bind_edge<end_capture_edge>},
    {"abortCapture", bind_edge<abort_capture_edge>},
    {"replayCapture", bind_edge<replay_capture>},
    {"freeCapture", bind_edge<free_capture>},
    // tensors
    {"alloc", bind_edge<alloc>},
    {"full", bind<ops::full>},
    {"free", bind_edge<free_handle>},
    {"view", bind<ops::view>},
    {"shapeOf", bind_edge<shape_of>},
    {"dtypeOf", bind_edge<dtype_of>},
    {"write", bind_edge<write_elements>},
    {"read", bind_edge<read_elements>},
    {"readInto", bind_edge<read_into>},
    {"item", bind_edge<item>},
    {"readWeights", bind_edge<read_weights>},
    {"prefetchFile", bind_edge<prefetch_file>},
    {"encodeWeights", bind_edge<encode_weights>},
    {"copy", bind<ops::copy>},
    // elementwise
    {"add", bind<ops::add>},
    {"sub", bind<ops::sub>},
    {"mul", bind<ops::mul>},
    {"div", bind<ops::div>},
    {"addScalar", bind<ops::add_scalar>},
    {"mulScalar", bind<ops::mul_scalar>},
    {"axpy", bind<ops::axpy>},
    {"scaleInPlace", bind<ops::scale_in_place>},
    {"neg", bind<ops::neg>},
    {"exp", bind<ops::exp>},
    {"log", bind<ops::log>},
    {"tanh", bind<ops::tanh>},
    {"sigmoid", bind<ops::sigmoid>},
    {"silu", bind<ops::silu>},
    {"relu", bind<ops::relu>},
    {"relu2", bind<ops::relu2>},
    {"sqrt", bind<ops::sqrt>},
    {"abs", bind<ops::abs>},
    {"sign", bind<ops::sign>},
    {"siluBackward", bind<ops::silu_backward>},
    {"sigmoidBackward", bind<ops::sigmoid_backward>},
    {"tanhBackward", bind<ops::tanh_backward>},
    {"reluBackward", bind<ops::relu_backward>},
    {"relu2Backward", bind<ops::relu2_backward>},
    // reductions
    {"sum", bind<ops::sum>},
    {"mean", bind<ops::mean>},
    {"max", bind<ops::max>},
    {"argmax", bind<ops::argmax>},
    {"sumSquares", bind<ops::sum_squares>},
    {"clipScale", bind<ops::clip_scale>},
    {"scaleBy", bind<ops::scale_by>},
    {"expandScalar", bind<ops::expand_scalar>},
    {"sumToShape", bind<ops::sum_to_shape>},
    {"isFinite", bind<ops::is_finite>},
    {"dot", bind<ops::dot>},
    // layout
    {"slice", bind<ops::slice>},
    {"concat", bind<ops::concat>},
    {"permute", bind<ops::permute>},
    {"gatherRows", bind<ops::gather_rows>},
    {"scatterAddRows", bind<ops::scatter_add_rows>},
    // dense products
    {"matmul", bind_edge<matmul>},
    {"matmulBf16", bind_edge<matmul_bf16>},
    {"embedding", bind<ops::embedding>},
    {"embeddingBackward", bind<ops::embedding_backward>},
    // normalisation, position, attention, gated units
    {"rmsNorm", bind<ops::rms_norm>},
    {"rmsNormBackward", bind<ops::rms_norm_backward>},
    {"rope", bind<ops::rope>},
    {"attention", bind<ops::attention>},
    {"attentionBackward", bind<ops::attention_backward>},
    {"swiglu", bind<ops::swiglu>},
    {"swigluBackward", bind<ops::swiglu_backward>},
    {"softmax", bind<ops::softmax>},
    {"softmaxBackward", bind<ops::softmax_backward>},
    // loss, optimizer
    {"crossEntropy", bind<ops::cross_entropy>},
    {"crossEntropyBackward", bind_edge<cross_entropy_backward>},
    {"targetWeight", bind<ops::target_weight>},
    {"adamw", bind<ops::adamw>},
    {"adamwPrepared", bind<ops::adamw_prepared>},
    // random numbers
    {"philoxUniform", bind<ops::philox_uniform>},
    {"philoxNormal", bind<ops::philox_normal>},
    // epilogues, divergences, choices, recurrences, masks
    {"biasActivationInPlace", bind<ops::bias_activation>},
    {"klDivergence", bind<ops::kl_divergence>},
    {"klDivergenceBackward", bind<ops::kl_divergence_backward>},
    {"dropout", bind<ops::dropout>},
    {"topK", bind<ops::top_k>},
    {"categorical", bind<ops::categorical>},
    {"linearScan", bind<ops::linear_scan>},
    {"linearScanBackward", bind<ops::linear_scan_backward>},
    {"rangedAttention", bind<ops::ranged_attention>},
    {"rangedAttentionBackward", bind<ops::ranged_attention_backward>},
    {"adamwGrokfast", bind<ops::adamw_grokfast>},
    // matrices as a whole
    {"svd", bind<ops::svd>},
    {"newtonSchulz", bind<ops::newton_schulz>},
    {"muon", bind<ops::muon>},
    // merging of models
    {"mergeLinear", bind<ops::merge_linear>},
    {"mergeSlerp", bind<ops::merge_slerp>},
    {"mergeNuslerp", bind<ops::merge_nuslerp>},
    {"mergeMultislerp", bind<ops::merge_multislerp>},
    {"mergeKarcher", bind<ops::merge_karcher>},
    {"mergeModelStock", bind<ops::merge_model_stock>},
    {"mergeTaskVectors", bind<ops::merge_task_vectors>},
    {"mergeSce", bind<ops::merge_sce>},
    {"mergeRam", bind<ops::merge_ram>},
    {"mergeNearswap", bind<ops::merge_nearswap>},
    {"mergeArceeFusion", bind<ops::merge_arcee_fusion>},
    // quantisation
    {"absmeanQuantize", bind<ops::absmean_quantize>},
    {"absmeanFakeQuantize", bind<ops::absmean_fake_quantize>},
    {"absmaxQuantize", bind<ops::absmax_quantize>},
    {"absmaxFakeQuantize", bind<ops::absmax_fake_quantize>},
    {"encodeBlocks", bind<ops::encode_blocks>},
    {"decodeBlocks", bind<ops::decode_blocks>},
    {"ternaryPack", bind<ops::ternary_pack>},
    {"ternaryUnpack", bind<ops::ternary_unpack>},
    {"ternaryAccumulate", bind<ops::ternary_accumulate>},
    {"ternaryMatmul", bind<ops::ternary_matmul>},
    {"seedlmEncode", bind<ops::seedlm_encode>},
    {"seedlmDecode", bind<ops::seedlm_decode>},
    {"nearestCentroid", bind<ops::nearest_centroid>},
    {"kmeans", bind<ops::kmeans>},
    {"hyperEncode", bind<ops::hyper_encode>},
    {"hyperDecode", bind<ops::hyper_decode>},
    {"packBits", bind<ops::pack_bits>},
    {"unpackBits", bind<ops::unpack_bits>},
    // key-value cache
    {"copyRows", bind<ops::copy_rows>},
};

}  // namespace

bool is_exported(const char* name) {
  for (const Export& entry : exports) {
    if (std::strcmp(entry.name, name) == 0) return true;
  }
  return false;
}

Instance& instance_of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<Instance*>(data);
}

}  // namespace forge::addon

NAPI_MODULE_INIT() {
  using namespace forge::addon;
  auto* instance = new (std::nothrow) Instance();
  if (instance == nullptr ||
      napi_set_instance_data(
          env, instance, [](napi_env, void* data, void*) { delete static_cast<Instance*>(data); }, nullptr) != napi_ok) {
    napi_throw_error(env, "OOM", "the addon cannot allocate its tensor table");
    delete instance;
    return nullptr;
  }
  for (const Export& entry : ::forge::addon::exports) {
    napi_value function;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.callback, const_cast<char*>(entry.name), &function);
    napi_set_named_property(env, exports, entry.name, function);
  }
  return exports;
}
