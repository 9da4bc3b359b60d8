export {
  type BackendInfo,
  DTYPES,
  type DTypeCode,
  type ElementArray,
  type GpuInfo,
  type Handle,
  type InitOptions,
  type MemoryStats,
  type NativeAddon,
  type NativeError,
  type NativeErrorCode,
  type ProbeAttempt,
  ROPE_PAIRINGS,
  type RopePairing,
} from './addon.js';
export { isNativeError, loadNative, NativeLoadError } from './loader.js';
