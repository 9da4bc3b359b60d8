/** Slot and generation of a native tensor; valid on the thread that made it until `free`. */
export type Handle = number;

/** Element types and their codes. f32 computes; i32 indexes; the others are storage. */
export const DTYPES = { f32: 0, i32: 1, bf16: 2, f64: 3, u8: 4, i8: 5 } as const;
/** Code of an element type, see {@link DTYPES}. */
export type DTypeCode = (typeof DTYPES)[keyof typeof DTYPES];

/** Types that files keep weights in, and their codes. */
export const STORED_WEIGHTS = { F32: 0, F16: 1, BF16: 2 } as const;
/** Code of a type of stored weights, see {@link STORED_WEIGHTS}. */
export type StoredWeightsCode = (typeof STORED_WEIGHTS)[keyof typeof STORED_WEIGHTS];

/** How a rotary embedding pairs components: halves (Hugging Face) or neighbours (original Llama). */
export const ROPE_PAIRINGS = { NEOX: 0, NORM: 1 } as const;
/** Code of a rotary pairing, see {@link ROPE_PAIRINGS}. */
export type RopePairing = (typeof ROPE_PAIRINGS)[keyof typeof ROPE_PAIRINGS];

/** Functions that may follow a dense product. */
export const ACTIVATIONS = { none: 0, relu: 1, relu2: 2, silu: 3, sigmoid: 4, tanh: 5 } as const;
/** Code of an activation, see {@link ACTIVATIONS}. */
export type ActivationCode = (typeof ACTIVATIONS)[keyof typeof ACTIVATIONS];

/** Arrays that elements travel in: f32 Float32Array, i32 Int32Array, bf16 Uint16Array (raw bits), f64 Float64Array, u8 Uint8Array, i8 Int8Array. */
export type ElementArray = Float32Array | Int32Array | Uint16Array | Float64Array | Uint8Array | Int8Array;

/** Why a native call was refused. */
export type NativeErrorCode =
  | 'HANDLE'
  | 'DTYPE'
  | 'SHAPE'
  | 'ARGUMENT'
  | 'OOM'
  | 'UNSUPPORTED'
  | 'DEVICE'
  | 'INTERNAL';

/** What the addon throws: a plain Error with a code. */
export interface NativeError extends Error {
  readonly code: NativeErrorCode;
}

/** Process-wide settings; the first `init` (or first op) of the process fixes them. */
export interface InitOptions {
  /** What computes and holds tensors, for the whole process. Default: cpu. Chosen once, before there are tensors. */
  readonly device?: 'cpu' | 'cuda';
  /** What happens to an op that the device lacks: `cpu` runs it there, counted; `refuse` throws. Default: FORGE_CUDA_FALLBACK, else cpu. */
  readonly fallback?: 'cpu' | 'refuse';
  /** Compute threads including the caller, 1 to 256. Default: FORGE_THREADS, else the physical cores this process may use. */
  readonly threads?: number;
  /** Limit for live plus cached bytes. Default: 90 % of the memory of the machine or container. May be changed later. */
  readonly maxBytes?: number;
}

/** One place where a device was looked for, and why it cannot be used, with what to do. */
export interface ProbeAttempt {
  readonly path: string;
  readonly cause: string;
}

/** The accelerator in use. */
export interface GpuInfo {
  readonly name: string;
  /** The newest CUDA that the driver offers. */
  readonly driver: string;
  readonly computeCapability: string;
}

/** What computes. */
export interface BackendInfo {
  readonly device: 'cpu' | 'cuda';
  /** null on the processor. */
  readonly gpu: GpuInfo | null;
  /** Instruction set of the processor, chosen at run time. */
  readonly isa: 'avx512bf16' | 'avx512vnni' | 'avx512' | 'avx2' | 'portable';
  readonly threads: number;
  /** What happens to an op that the device lacks. */
  readonly fallback: 'cpu' | 'refuse';
  /** Whether the device records steps for replay, see beginCapture. */
  readonly captures: boolean;
  /** Where dense products come from: `builtin`, the kernels of this library, and why; or a library's name. */
  readonly blas: string;
}

/** Memory of all threads of the process together. */
export interface MemoryStats {
  /** Bytes that tensors hold (rounded to size classes). */
  readonly liveBytes: number;
  /** Bytes kept for reuse. */
  readonly cachedBytes: number;
  /** Highest liveBytes since start or `resetPeak`. */
  readonly peakBytes: number;
  readonly maxBytes: number;
  readonly liveTensors: number;
}
