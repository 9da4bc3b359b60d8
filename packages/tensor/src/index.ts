export { type BackwardOptions, backward } from './autograd/backward.js';
export { isGradEnabled, noGrad } from './autograd/record.js';
export {
  CapturedStep,
  type CaptureOptions,
  captureStep,
  type StepInputs,
} from './capture/captured-step.js';
export { arange, empty, full, ones, type TensorOptions, tensor, zeros } from './create.js';
export {
  backendInfo,
  type Device,
  type DeviceAttempt,
  type DeviceChoice,
  type DeviceInfo,
  type DeviceOptions,
  emptyCache,
  fallbacks,
  memoryStats,
  resetPeakMemory,
  selectDevice,
  supportsOp,
} from './device.js';
export { type DType, type Shape, sizeOf, type TensorData } from './dtype.js';
export {
  ArgumentError,
  DeviceError,
  DtypeError,
  FreedTensorError,
  GraphError,
  NotFiniteError,
  OutOfMemoryError,
  ShapeError,
  StateError,
  UnsupportedOpError,
} from './errors.js';
export * as merge from './merge/index.js';
export { BitLinear } from './nn/bit-linear.js';
export { type Initializer, normalInit, uniformInit, zerosInit } from './nn/initializers.js';
export { Embedding, Linear, type LinearOptions, RMSNorm } from './nn/layers.js';
export { type LoraDropout, LoraLinear, type LoraLinearOptions } from './nn/lora-linear.js';
export { type Child, type LoadReport, Module, type ModuleState } from './nn/module.js';
export { add, addScalar, div, mul, mulScalar, type Operand, sub } from './ops/arithmetic.js';
export { type AttentionOptions, attention } from './ops/attention.js';
export { type CrossEntropyOptions, crossEntropy } from './ops/cross-entropy.js';
export { dropout } from './ops/dropout.js';
export { axpyInPlace, copyInto, copyRows, scaleInPlace } from './ops/in-place.js';
export { type KlDivergenceOptions, klDivergence } from './ops/kl-divergence.js';
export {
  concat,
  detach,
  embedding,
  gatherRows,
  permute,
  reshape,
  slice,
  transpose,
  viewRows,
} from './ops/layout.js';
export { linearScan } from './ops/linear-scan.js';
export { type Activation, linear, type MatmulOptions, matmul } from './ops/matmul.js';
export { newtonSchulz } from './ops/newton-schulz.js';
export { abs, exp, log, neg, relu, relu2, sigmoid, silu, sqrt, tanh } from './ops/pointwise.js';
export { keyRanges, rangedAttention } from './ops/ranged-attention.js';
export { allFinite, argmax, globalNorm, max, mean, softmax, sum } from './ops/reductions.js';
export { rmsNorm } from './ops/rms-norm.js';
export { type RopeOptions, rope } from './ops/rope.js';
export { categorical, type TopK, topK } from './ops/sampling.js';
export { scatterAddRows } from './ops/scatter-add.js';
export { straightThrough } from './ops/straight-through.js';
export { type Svd, svd } from './ops/svd.js';
export { swiglu } from './ops/swiglu.js';
export {
  AdamW,
  type AdamWMoments,
  type AdamWOptions,
  type AdamWState,
  decayGroups,
  type GrokfastOptions,
  type ParameterGroup,
} from './optim/adamw.js';
export { type ClippedNorm, clipGradNorm, clipScale } from './optim/clip-grad-norm.js';
export { Muon, type MuonOptions, type MuonState } from './optim/muon.js';
export { constantSchedule, linearSchedule, type Schedule, warmupCosine } from './optim/schedule.js';
export { autocast, type Precision } from './precision.js';
export {
  absmaxFakeQuantize,
  absmaxQuantize,
  absmeanFakeQuantize,
  absmeanQuantize,
  type Quantized,
} from './quantize/bitnet.js';
export { type BitLayout, packBits, unpackBits } from './quantize/bits.js';
export {
  BLOCK_SIZES,
  type BlockFormat,
  decodeBlocks,
  encodeBlocks,
} from './quantize/block-format.js';
export {
  type Assignment,
  type Clusters,
  type KmeansOptions,
  kmeans,
  nearestCentroid,
} from './quantize/codebook.js';
export {
  type HyperCode,
  type HyperLayout,
  hyperBitsPerPair,
  hyperDecode,
  hyperEncode,
} from './quantize/hyper.js';
export {
  SEEDLM_LAYOUTS,
  type SeedlmCode,
  type SeedlmLayout,
  seedlmBitsPerWeight,
  seedlmDecode,
  seedlmEncode,
} from './quantize/seedlm.js';
export { TernaryMatrix, ternaryAccumulate, ternaryMatmul } from './quantize/ternary-matrix.js';
export { Philox, type PhiloxState } from './random/philox.js';
export { normal, uniform } from './random/random-tensor.js';
export { scope, scope as tidy } from './scope.js';
export { encodeWeights, prefetchWeights, readWeights, type StoredPlace, type StoredType } from './stored.js';
export { parameter, Tensor, zeroGrad } from './tensor.js';
export { type GradCheckOptions, type GradCheckResult, gradCheck } from './testing/grad-check.js';
