export type { NativeAddon } from './addon.js';
export { MERGE_METHODS, MERGE_RESCALES, type MergeMethodCode, type MergeRescaleCode } from './addon-merge.js';
export { BLOCK_FORMATS, type BlockFormatCode } from './addon-quantize.js';
export {
  ACTIVATIONS,
  type ActivationCode,
  type BackendInfo,
  DTYPES,
  type DTypeCode,
  type ElementArray,
  type GpuInfo,
  type Handle,
  type InitOptions,
  type MemoryStats,
  type NativeError,
  type NativeErrorCode,
  type ProbeAttempt,
  ROPE_PAIRINGS,
  type RopePairing,
  STORED_WEIGHTS,
  type StoredWeightsCode,
} from './addon-types.js';
export { isNativeError, loadNative, NativeLoadError } from './loader.js';
