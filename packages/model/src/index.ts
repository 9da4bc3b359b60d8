export { InvalidAdapterError } from './adapters/adapters.errors.js';
export { BitNetLayers, lambdaWarmup, toBitNet } from './adapters/bitnet.js';
export { addLora, LoraAdapter, type LoraConfig, removeLora } from './adapters/lora.js';
export { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, loadLora, saveLora } from './adapters/peft-files.js';
export { PROJECTIONS, type Projection } from './adapters/projections.js';
export { InvalidModelConfigError } from './config/config.errors.js';
export {
  architectureOf,
  CONFIG_FILE,
  fromHfConfig,
  type HfLlamaConfig,
  toHfConfig,
} from './config/hf-config.js';
export {
  type ModelConfig,
  PRESETS,
  type PresetName,
  parseModelConfig,
  presetConfig,
} from './config/model-config.js';
export { countParameters, type ParameterCount, parameterShapes } from './config/parameter-shapes.js';
export { netCalls, type RecursionConfig, recursionSchema } from './config/recursion-config.js';
export { type RopeScaling, ropeFactors } from './config/rope-scaling.js';
export { memorySettings, type TitansMagSettings, titansMag } from './config/titans-mag.js';
export { BatchStateError } from './data/batch-cursor.errors.js';
export {
  BatchCursor,
  type BatchCursorState,
  type BatchOptions,
  type BatchSource,
  type TokenBatch,
} from './data/batch-cursor.js';
export {
  CorpusNotFoundError,
  CorpusTooLargeError,
  CorpusTooSmallError,
  EmptyCorpusError,
  UnreadableCorpusError,
} from './data/corpus.errors.js';
export {
  CORPUS_EXTENSIONS,
  type Corpus,
  type CorpusDocument,
  type CorpusFile,
  type CorpusOptions,
  corpusFromBytes,
  MAX_CORPUS_BYTES,
} from './data/corpus.js';
export { type DisjointSplits, splitDisjoint } from './data/disjoint-splits.js';
export {
  type Decontaminated,
  ngramOverlap,
  OVERLAP_NGRAM,
  type Overlap,
  removeOverlap,
} from './data/overlap.js';
export { readCorpus } from './data/read-corpus.js';
export {
  type CorpusSplits,
  type SplitName,
  type SplitOptions,
  splitCorpus,
  type TextSplit,
} from './data/split.js';
export {
  encodeSplit,
  requireCorpusSize,
  streamBytes,
  type TokenStream,
  unigramEntropy,
} from './data/token-stream.js';
export { type EvaluateOptions, type Evaluation, evaluate } from './evaluation/evaluate.js';
export {
  type Accuracy,
  type EvaluateTasksOptions,
  evaluateTasks,
  oversizedTasks,
  type TaskResult,
  type TasksEvaluation,
} from './evaluation/evaluate-tasks.js';
export { InvalidEvaluationError } from './evaluation/evaluation.errors.js';
export { ORACLES, type Oracle } from './evaluation/oracles.js';
export { countPromptTokens } from './evaluation/prompt-tokens.js';
export {
  type ChoiceTask,
  type GenerateTask,
  MATCHES,
  type Match,
  parseTasks,
  type Task,
} from './evaluation/task-file.js';
export { type TaskText, taskText, unknownTasks } from './evaluation/task-text.js';
export { InvalidTaskFileError, TasksKnownError } from './evaluation/tasks.errors.js';
export { DraftFile } from './files/draft-file.js';
export type { FilePlan } from './files/file-plan.js';
export { directorySource, type FileSource, memorySource } from './files/file-source.js';
export {
  MalformedModelFileError,
  ModelFileMissingError,
  TensorNotFoundError,
  TokenizerTooLargeError,
} from './files/files.errors.js';
export {
  encodeModelFiles,
  GENERATION_CONFIG_FILE,
  type LoadedModel,
  loadConfig,
  loadModel,
  loadModelFiles,
  loadTokenizer,
  loadWeights,
  openCheckpoint,
  openWeights,
  saveModel,
  WEIGHTS_FILE,
} from './files/model-files.js';
export { type ModelParts, readModelParts } from './files/model-parts.js';
export { type ModelWeights, type TensorSource, tensorSource, type WeightsOf } from './files/tensor-source.js';
export { writePlanned } from './files/write-planned.js';
export type { Prompt } from './generation/check-generation.js';
export { generate, generateText, resultOf } from './generation/generate.js';
export { type BatchToken, type GenerateBatchOptions, generateBatch } from './generation/generate-batch.js';
export { InvalidGenerationError, NonFiniteLogitsError } from './generation/generation.errors.js';
export type { FinishReason, GeneratedToken, GenerateOptions, Generation } from './generation/generation.js';
export { argmaxToken, type SamplingOptions, sampleToken } from './generation/sample-token.js';
export { TextStream } from './generation/text-stream.js';
export { BLOCK_FORMATS, type BlockFormat, GGML_TYPE_IDS, type GgmlType, ggmlBytes } from './gguf/blocks.js';
export {
  exportGguf,
  GGUF_EXPORT_TYPES,
  type GgufEmbeddingType,
  type GgufExport,
  type GgufExportedTensor,
  type GgufExportOptions,
  type GgufExportType,
} from './gguf/export-gguf.js';
export { GgufExportError, InvalidGgufError } from './gguf/gguf.errors.js';
export { type GgufModel, loadGguf, openGgufModel } from './gguf/import-gguf.js';
export { GgufReader, openGguf } from './gguf/reader.js';
export { isTernary, ternarize } from './gguf/ternarize.js';
export { tokenizerFromMetadata } from './gguf/tokenizer.js';
export type { GgufMetadata, GgufValue } from './gguf/values.js';
export { type GgufTensorShape, planGguf } from './gguf/writer.js';
export { INIT_STD, type InitializerOf, llamaInitializers, zeroInitializers } from './llama/initialize.js';
export { type DecodingCache, KvCache, type LayerCache, type Rotation } from './llama/kv-cache.js';
export { LlamaBlock } from './llama/llama-block.js';
export { type ForwardOptions, LlamaModel } from './llama/llama-model.js';
export {
  BatchShapeError,
  NonFiniteLossError,
  SequenceTooLongError,
  TokenShapeError,
  UnmergedAdapterError,
  WeightsMismatchError,
} from './llama/model.errors.js';
export { RowCaches } from './llama/row-caches.js';
export { MemoryDivergedError } from './memory/memory.errors.js';
export { type Supervision, superviseDeeply } from './recursion/deep-supervision.js';
export { HaltingHead, haltingLoss, joinPonder, type Ponder } from './recursion/halting.js';
export { type Net, type Reasoning, superviseOnce } from './recursion/recursive-reasoner.js';
export { DTYPE_BYTES, type SafetensorsDtype, type TensorInfo } from './safetensors/header.js';
export { openSafetensors, SafetensorsReader } from './safetensors/reader.js';
export {
  InvalidSafetensorsError,
  TensorDtypeError,
  TensorSizeError,
} from './safetensors/safetensors.errors.js';
export { openSharded, ShardedReader, WEIGHTS_INDEX_FILE } from './safetensors/sharded-reader.js';
export type { StoredTensor, TensorReader } from './safetensors/tensor-reader.js';
export {
  encodeSafetensors,
  planSafetensors,
  type SafetensorsPlan,
  type TensorShape,
  type WeightsDtype,
  writeSafetensors,
} from './safetensors/writer.js';
export {
  type GenerateThinkingOptions,
  generateThinking,
  type Thought,
  type ThoughtfulToken,
} from './thoughts/generate-thinking.js';
export { MixingHead, mixLogits } from './thoughts/mixing-head.js';
export { positivePart, rewardsOf } from './thoughts/reinforce.js';
export { sampleThoughts, type ThoughtSampling } from './thoughts/sample-thoughts.js';
export {
  type ScoredRow,
  type ScoreThinkingOptions,
  scoreThinking,
  type ThinkingPoint,
} from './thoughts/score-thinking.js';
export { type ThinkStepOptions, type ThinkStepResult, thinkStep } from './thoughts/think-step.js';
export { type Talk, THOUGHT_MARKS, ThinkingModel, unthinkable } from './thoughts/thinking-model.js';
export {
  encodeThoughtFiles,
  type LoadedThinkingModel,
  loadThinkingModel,
  THOUGHTS_CONFIG_FILE,
  THOUGHTS_FILE,
  type ThoughtsConfig,
} from './thoughts/thought-files.js';
export { blocksOf, type ThoughtLayout } from './thoughts/thought-layout.js';
export { type ThoughtLoss, type ThoughtLossOptions, thoughtLoss } from './thoughts/thought-loss.js';
export { InvalidThinkingError, NoThoughtsError } from './thoughts/thoughts.errors.js';
export { BpeTokenizer } from './tokenizer/bpe-tokenizer.js';
export { type BpeTrainingOptions, END_OF_TEXT, trainBpe } from './tokenizer/bpe-trainer.js';
export type { BpeVocabulary } from './tokenizer/bpe-vocabulary.js';
export { byteTokenizer } from './tokenizer/byte-tokenizer.js';
export type { PreTokenizer } from './tokenizer/pre-tokenize.js';
export { readTokenizer } from './tokenizer/read-tokenizer.js';
export { InvalidTokenizerError, TokenIdError, TokenizerTrainingError } from './tokenizer/tokenizer.errors.js';
export type { DecodeOptions, EncodeOptions, Tokenizer } from './tokenizer/tokenizer.js';
export { TOKENIZER_CONFIG_FILE, TOKENIZER_FILE } from './tokenizer/tokenizer-files.js';
export {
  CapturedTrainStep,
  type CapturedTrainStepOptions,
  captureTrainStep,
} from './training/captured-train-step.js';
export {
  MuonWithAdamW,
  type MuonWithAdamWOptions,
  type MuonWithAdamWState,
  type Optimizer,
} from './training/muon-with-adamw.js';
export { type TrainStepOptions, type TrainStepResult, trainStep } from './training/train-step.js';
