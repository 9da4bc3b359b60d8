/**
 * Every function of the `.node` addon, in the order of `src/addon/exports.cc`.
 *
 * A tensor is dense, row-major, at most 6-dimensional, and known to JavaScript by a number. All
 * outputs are new tensors that the caller frees, unless the name says `InPlace` or a destination is
 * passed. Compute ops take f32 (indices: i32); the other dtypes are storage.
 *
 * Every function throws {@link NativeError}: HANDLE (freed, or made by another thread), DTYPE,
 * SHAPE (the message names the op and all shapes), ARGUMENT (a number out of range), OOM (bytes asked
 * for, live, cached, limit), UNSUPPORTED (the device lacks the op), DEVICE (the device cannot be used).
 * A call that throws has changed nothing.
 *
 * The same call gives the same bytes whatever the thread count: work is split over independent
 * outputs, and reductions have a fixed order.
 */

/** Slot and generation of a native tensor; valid on the thread that made it until `free`. */
export type Handle = number;

/** Element types and their codes. f32 computes; i32 indexes; the others are storage. */
export const DTYPES = { f32: 0, i32: 1, bf16: 2, f64: 3, u8: 4, i8: 5 } as const;
/** Code of an element type, see {@link DTYPES}. */
export type DTypeCode = (typeof DTYPES)[keyof typeof DTYPES];

/** How a rotary embedding pairs components: halves (Hugging Face) or neighbours (original Llama). */
export const ROPE_PAIRINGS = { NEOX: 0, NORM: 1 } as const;
/** Code of a rotary pairing, see {@link ROPE_PAIRINGS}. */
export type RopePairing = (typeof ROPE_PAIRINGS)[keyof typeof ROPE_PAIRINGS];

/** Functions that may follow a dense product. */
export const ACTIVATIONS = { none: 0, relu: 1, relu2: 2, silu: 3, sigmoid: 4, tanh: 5 } as const;
/** Code of an activation, see {@link ACTIVATIONS}. */
export type ActivationCode = (typeof ACTIVATIONS)[keyof typeof ACTIVATIONS];

/** Which entries of a task vector stay: all, the largest, a random choice, the largest without the very largest, a choice by rank. */
export const MERGE_METHODS = { ALL: 0, MAGNITUDE: 1, RANDOM: 2, BREADCRUMBS: 3, DELLA: 4 } as const;
/** Code of a sparsification, see {@link MERGE_METHODS}. */
export type MergeMethodCode = (typeof MERGE_METHODS)[keyof typeof MERGE_METHODS];

/** What kept entries are multiplied by: 1, Σ|all|/Σ|kept| (mergekit), 1/density (the paper). */
export const MERGE_RESCALES = { NONE: 0, MATCH_L1: 1, INVERSE_DENSITY: 2 } as const;
/** Code of a rescaling, see {@link MERGE_RESCALES}. */
export type MergeRescaleCode = (typeof MERGE_RESCALES)[keyof typeof MERGE_RESCALES];

/** Block formats of GGUF: IEEE half; 32 int8 with a half; 256 ternary at 1.6875 and at 2.0625 bits each. */
export const BLOCK_FORMATS = { F16: 0, Q8_0: 1, TQ1_0: 2, TQ2_0: 3 } as const;
/** Code of a block format, see {@link BLOCK_FORMATS}. */
export type BlockFormatCode = (typeof BLOCK_FORMATS)[keyof typeof BLOCK_FORMATS];

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

/** The typed table of native functions. */
export interface NativeAddon {
  // -- process ---------------------------------------------------------------------------------
  /**
   * Chooses the device and starts the thread pool. A second call with another `threads` or `device` throws ARGUMENT;
   * a device that cannot be used throws DEVICE with every path tried.
   */
  init(options: InitOptions): void;
  /** Why `init` could not use a device: a line per path tried, none when it can. */
  deviceProbe(device: 'cpu' | 'cuda'): ProbeAttempt[];
  backendInfo(): BackendInfo;
  /** Whether the device of this process runs a function of this table; false for a name that is not here. */
  supportsOp(name: string): boolean;
  memoryStats(): MemoryStats;
  /** Sets peakBytes to liveBytes. */
  resetPeak(): void;
  /** Returns cached blocks to the operating system. */
  emptyCache(): void;

  // -- tensors ---------------------------------------------------------------------------------
  /** A tensor with undefined contents. Axis lengths ≥ 0, at most 6 axes, [] is a scalar. */
  alloc(dtype: DTypeCode, shape: readonly number[]): Handle;
  /** A tensor filled with `value` (converted to dtype). */
  full(dtype: DTypeCode, shape: readonly number[], value: number): Handle;
  /** Forgets the handle; its buffer is reused when the last view is gone. */
  free(h: Handle): void;
  /** Another tensor on the same elements, from `offset` (elements, relative to h), contiguous. */
  view(h: Handle, offset: number, shape: readonly number[]): Handle;
  shapeOf(h: Handle): number[];
  dtypeOf(h: Handle): DTypeCode;
  /** Copies a whole array to elements offset.. of h. The array kind must fit the dtype. */
  write(h: Handle, data: ElementArray, offset?: number): void;
  /** A copy of all elements. */
  read(h: Handle): ElementArray;
  /** Copies all elements to an array of exactly that length. */
  readInto(h: Handle, data: ElementArray): void;
  /** The only element of a one-element tensor. */
  item(h: Handle): number;
  /** dst := src; same dtype and element count. */
  copy(dst: Handle, src: Handle): void;

  // -- elementwise: f32; b has a's shape, or a's trailing axes, or one element --------------------
  add(a: Handle, b: Handle): Handle;
  sub(a: Handle, b: Handle): Handle;
  mul(a: Handle, b: Handle): Handle;
  div(a: Handle, b: Handle): Handle;
  addScalar(x: Handle, s: number): Handle;
  mulScalar(x: Handle, s: number): Handle;
  /** y += alpha x in place; same shape. */
  axpy(y: Handle, alpha: number, x: Handle): void;
  /** x *= s in place. */
  scaleInPlace(x: Handle, s: number): void;
  neg(x: Handle): Handle;
  exp(x: Handle): Handle;
  log(x: Handle): Handle;
  tanh(x: Handle): Handle;
  sigmoid(x: Handle): Handle;
  /** x · sigmoid(x). */
  silu(x: Handle): Handle;
  relu(x: Handle): Handle;
  /** max(x, 0)². */
  relu2(x: Handle): Handle;
  sqrt(x: Handle): Handle;
  abs(x: Handle): Handle;
  /** −1, 0 or 1. */
  sign(x: Handle): Handle;
  /** dx from the input x. */
  siluBackward(x: Handle, dy: Handle): Handle;
  /** dx from the output y. */
  sigmoidBackward(y: Handle, dy: Handle): Handle;
  /** dx from the output y. */
  tanhBackward(y: Handle, dy: Handle): Handle;
  /** dx from the input x. */
  reluBackward(x: Handle, dy: Handle): Handle;
  /** dx from the input x. */
  relu2Backward(x: Handle, dy: Handle): Handle;

  // -- reductions --------------------------------------------------------------------------------
  /** Sum over one axis (removed), or over all (axis −1, gives shape [1]). */
  sum(x: Handle, axis: number): Handle;
  /** Mean over one axis (removed), or over all (axis −1, gives [1]); NaN over nothing. */
  mean(x: Handle, axis: number): Handle;
  /** Maximum over one axis (removed), or over all (axis −1, gives [1]); ARGUMENT over nothing. */
  max(x: Handle, axis: number): Handle;
  /** i32 index of the first maximum along the last axis (removed). */
  argmax(x: Handle): Handle;
  /** Sum of squares over all elements of all tensors, accumulated in f64. */
  sumSquares(xs: readonly Handle[]): number;
  /** Sums leading axes away: the inverse of the broadcast of add; shape is x's trailing axes or one element. */
  sumToShape(x: Handle, shape: readonly number[]): Handle;
  /** Whether no element of any tensor is NaN or infinite. */
  isFinite(xs: readonly Handle[]): boolean;
  /** Σ a·b over all elements, accumulated in f64; same shape. */
  dot(a: Handle, b: Handle): number;

  // -- layout: any dtype -------------------------------------------------------------------------
  /** Elements start ≤ i < end along one axis. */
  slice(x: Handle, axis: number, start: number, end: number): Handle;
  /** Joins tensors that agree on dtype and all other axes. */
  concat(xs: readonly Handle[], axis: number): Handle;
  /** Reorders axes: result axis i is x's axis axes[i]. */
  permute(x: Handle, axes: readonly number[]): Handle;
  /** x[N, ...], index i32[M...] -> [M..., ...]; ARGUMENT: an index outside 0..N−1. */
  gatherRows(x: Handle, index: Handle): Handle;
  /** dst[index[i]] += src[i] in order of i; f32; dst[N, ...], src[M, ...]. */
  scatterAddRows(dst: Handle, index: Handle, src: Handle): void;

  // -- dense products ----------------------------------------------------------------------------
  /**
   * op(a) · op(b), op transposes the last two axes when its flag is set. [M,K]×[K,N], batched [B,M,K]×[B,K,N],
   * or a[..., K] (not transposed) × [K,N] -> [..., N].
   * @param out   null: a new tensor. Otherwise out := a·b + beta·out, and out is returned; must not overlap a or b.
   */
  matmul(a: Handle, b: Handle, transA: boolean, transB: boolean, out: Handle | null, beta: number): Handle;
  /** The same with the elements of a and b rounded to bf16 first; sums and result are f32. */
  matmulBf16(
    a: Handle,
    b: Handle,
    transA: boolean,
    transB: boolean,
    out: Handle | null,
    beta: number,
  ): Handle;
  /** table[V,C], ids i32[...] -> [..., C]; ARGUMENT: an id outside 0..V−1. */
  embedding(table: Handle, ids: Handle): Handle;
  /** dTable[id] += dOut rows, in order. */
  embeddingBackward(dOut: Handle, ids: Handle, dTable: Handle): void;

  // -- normalisation, position, attention, gated units ---------------------------------------------
  /** x[..., C] / rms(x) · gain[C] -> [y, rstd[...]]; rms over the last axis, eps inside the root. Zhang & Sennrich 2019 eq. 4. */
  rmsNorm(x: Handle, gain: Handle, eps: number): [y: Handle, rstd: Handle];
  /** -> dx; dGain[C] += when given. */
  rmsNormBackward(dy: Handle, x: Handle, gain: Handle, rstd: Handle, dGain: Handle | null): Handle;
  /**
   * Rotary position embedding of x[B,T,H,D], row t at position position0 + t; D even. Su et al. 2021.
   * @param inverse  rotate back (this is also the gradient)
   */
  rope(x: Handle, position0: number, theta: number, pairing: RopePairing, inverse: boolean): Handle;
  /**
   * softmax(scale · q kᵀ + mask) v, heads grouped: query head h uses key head h / (Hq/Hkv).
   * q[B,T,Hq,D], k, v[B,S,Hkv,D]; query t sits at position kvLength − T + t.
   * @param causal   only keys at positions ≤ the query's
   * @param window   only the last `window` positions up to the query's own (needs causal); 0 = all
   * @param kvLength keys in use, 0..S; −1 = S
   * @returns [o[B,T,Hq,D], lse[B,Hq,T]]; a query that sees no key gives o = 0, lse = −∞
   */
  attention(
    q: Handle,
    k: Handle,
    v: Handle,
    causal: boolean,
    window: number,
    scale: number,
    kvLength: number,
  ): [o: Handle, lse: Handle];
  /** -> [dq, dk, dv]; kvLength = S. */
  attentionBackward(
    dO: Handle,
    q: Handle,
    k: Handle,
    v: Handle,
    o: Handle,
    lse: Handle,
    causal: boolean,
    window: number,
    scale: number,
  ): [dq: Handle, dk: Handle, dv: Handle];
  /** silu(gate) · up. Shazeer 2020. */
  swiglu(gate: Handle, up: Handle): Handle;
  swigluBackward(dy: Handle, gate: Handle, up: Handle): [dgate: Handle, dup: Handle];
  /** Softmax over the last axis. */
  softmax(x: Handle): Handle;
  /** dx from the output y. */
  softmaxBackward(y: Handle, dy: Handle): Handle;

  // -- loss, optimizer -----------------------------------------------------------------------------
  /** logits[N,V], targets i32[N] -> [loss[N], lse[N]] in nats; rows with target = ignoreIndex lose 0. */
  crossEntropy(logits: Handle, targets: Handle, ignoreIndex: number): [loss: Handle, lse: Handle];
  /**
   * -> dlogits = scale · dLoss[row] · (softmax(logits) − onehot(target)), 0 in ignored rows.
   * @param dLoss    f32[N], or null for all ones
   * @param inPlace  write over logits and return its handle
   */
  crossEntropyBackward(
    logits: Handle,
    targets: Handle,
    lse: Handle,
    dLoss: Handle | null,
    scale: number,
    ignoreIndex: number,
    inPlace: boolean,
  ): Handle;
  /** One AdamW step in place, as torch.optim.AdamW; grad is read as gradScale · grad; step counts from 1. Loshchilov & Hutter 2019. */
  adamw(
    param: Handle,
    grad: Handle,
    m: Handle,
    v: Handle,
    lr: number,
    beta1: number,
    beta2: number,
    eps: number,
    weightDecay: number,
    step: number,
    gradScale: number,
  ): void;

  // -- random numbers: Philox4x32-10, Salmon et al. 2011 ----------------------------------------------
  /** Fills h with uniforms in [0,1): element e is word e%4 of block counter + e/4, its top 24 bits. Numbers are u32. */
  philoxUniform(h: Handle, seedLo: number, seedHi: number, counterLo: number, counterHi: number): void;
  /** Fills h with normals (Box–Muller on words 0,1 and 2,3 of the same blocks). */
  philoxNormal(
    h: Handle,
    seedLo: number,
    seedHi: number,
    counterLo: number,
    counterHi: number,
    mean: number,
    std: number,
  ): void;

  // -- epilogues, divergences, choices, recurrences, masks ---------------------------------------------------
  /** y[..., N] = f(y + bias[N]) in place, what follows a dense product; bias may be null. See {@link ACTIVATIONS}. */
  biasActivationInPlace(y: Handle, bias: Handle | null, activation: ActivationCode): void;
  /** KL(softmax(targets) ‖ softmax(logits)) of [N,V] in nats -> [loss[N], lse of targets[N], lse of logits[N]]. */
  klDivergence(targets: Handle, logits: Handle): [loss: Handle, lseT: Handle, lseZ: Handle];
  /** -> [dTargets, dLogits], scale · dLoss[row] times the slope; dLoss null for all ones. */
  klDivergenceBackward(
    targets: Handle,
    logits: Handle,
    loss: Handle,
    lseT: Handle,
    lseZ: Handle,
    dLoss: Handle | null,
    scale: number,
  ): [dTargets: Handle, dLogits: Handle];
  /** x/(1−p) where word e of the stream, as a uniform number, is below 1 − p; else 0. The same call is the gradient. */
  dropout(
    x: Handle,
    probability: number,
    seedLo: number,
    seedHi: number,
    counterLo: number,
    counterHi: number,
  ): Handle;
  /** The k largest along the last axis, falling -> [values[..., k], index i32[..., k]]; of equal ones the first first, NaN before all. */
  topK(x: Handle, k: number): [values: Handle, index: Handle];
  /** i32 index per row, by softmax of the last axis; word r of the stream decides row r. ARGUMENT: a row without finite weights. */
  categorical(logits: Handle, seedLo: number, seedHi: number, counterLo: number, counterHi: number): Handle;
  /** h[t] = a[t]·h[t−1] + b[t] for a, b [B,T,C], h0[B,C] or null (zeros) -> h[B,T,C]. */
  linearScan(a: Handle, b: Handle, h0: Handle | null): Handle;
  linearScanBackward(
    dh: Handle,
    a: Handle,
    h: Handle,
    h0: Handle | null,
  ): [da: Handle, db: Handle, dh0: Handle];
  /**
   * Attention in which query t sees the keys of its ranges [begin, end), i32[T,R,2], ascending and disjoint.
   * q[B,T,Hq,D], k, v[B,S,Hkv,D] -> [o[B,T,Hq,D], lse[B,Hq,T]]; a query that sees no key gives o = 0, lse = −∞.
   */
  rangedAttention(q: Handle, k: Handle, v: Handle, ranges: Handle, scale: number): [o: Handle, lse: Handle];
  rangedAttentionBackward(
    dO: Handle,
    q: Handle,
    k: Handle,
    v: Handle,
    o: Handle,
    lse: Handle,
    ranges: Handle,
    scale: number,
  ): [dq: Handle, dk: Handle, dv: Handle];
  /**
   * adamw on g + lambda·mu, mu ← alpha·mu + (1−alpha)·g (mu ← g when `starts`), g = gradScale · grad: clipped first,
   * filtered after. One pass. Lee et al. 2024, arXiv:2405.20233.
   */
  adamwGrokfast(
    param: Handle,
    grad: Handle,
    mu: Handle,
    m: Handle,
    v: Handle,
    lr: number,
    beta1: number,
    beta2: number,
    eps: number,
    weightDecay: number,
    step: number,
    gradScale: number,
    alpha: number,
    lambda: number,
    starts: boolean,
  ): void;

  // -- matrices as a whole ---------------------------------------------------------------------------
  /**
   * x[M,N] = u · diag(s) · vT with K = min(M,N), s falling, the largest component of each column of u positive.
   * In f64, same bytes on every instruction set; columns of singular values below 4·2⁻⁵²·max(M,N)·s₀ complete the
   * basis and their s is 0. About eight sweeps of K²·(3·max(M,N) + K) multiply-adds each. ARGUMENT: not finite.
   * @returns [u[M,K], s[K], vT[K,N]]
   */
  svd(x: Handle): [u: Handle, s: Handle, vT: Handle];
  /** x[M,N]/‖x‖F, then `steps` times X ← aX + (b·XXᵀ + c·(XXᵀ)²)X: singular values go to about 1. Jordan et al. 2024. */
  newtonSchulz(x: Handle, steps: number): Handle;
  /**
   * One Muon step in place on a matrix [M,N]: m ← μm + (1−μ)g, g = gradScale · grad; u = μm + (1−μ)g when nesterov, else m;
   * param ← param·(1 − lr·weightDecay) − lr·√max(1, M/N)·newtonSchulz(u, steps).
   */
  muon(
    param: Handle,
    grad: Handle,
    m: Handle,
    lr: number,
    momentum: number,
    nesterov: boolean,
    weightDecay: number,
    steps: number,
    gradScale: number,
  ): void;

  // -- merging of models: one tensor of each, of equal shape; mergekit's rules --------------------------------
  // Sums are in f64, with the same bytes on every instruction set. "Passes" count how often each model is read.
  /** Σ wᵢxᵢ, divided by Σ wᵢ when `normalize` (unless that is below 1e-8). Models of weight 0 are not read. One pass. */
  mergeLinear(xs: readonly Handle[], weights: readonly number[], normalize: boolean): Handle;
  /** Spherical interpolation, straight when |cos| > 0.9995; t = 0 and 1 copy a and b. Shoemake 1985. Two passes. */
  mergeSlerp(a: Handle, b: Handle, t: number): Handle;
  /** As slerp, straight only when sin < 1e-8; on task vectors when there is a base. Two passes. */
  mergeNuslerp(a: Handle, b: Handle, base: Handle | null, t: number): Handle;
  /** Weighted mean of the directions times the weighted mean of the norms; ARGUMENT when more than two cancel. Two passes. */
  mergeMultislerp(
    xs: readonly Handle[],
    weights: readonly number[],
    base: Handle | null,
    normalize: boolean,
  ): Handle;
  /** Karcher mean of the directions times the mean of the norms; iterates on inner products: two passes. */
  mergeKarcher(
    xs: readonly Handle[],
    weights: readonly number[],
    maxIterations: number,
    tolerance: number,
  ): Handle;
  /** t·mean(x) + (1 − t)·base, t = N cos/(1 + (N−1) cos) of the mean angle; N ≥ 2. Jang et al. 2024. Two passes. */
  mergeModelStock(base: Handle, xs: readonly Handle[]): Handle;
  /**
   * base + λ·mix(kept deltas): task arithmetic, TIES, DARE, DELLA, breadcrumbs.
   * @param method     which entries of a delta stay, see {@link MERGE_METHODS}
   * @param densities  share that stays, (0, 1]; one per model
   * @param extras     BREADCRUMBS: share of the largest that is dropped; DELLA: epsilon; else not used
   * @param rescale    see {@link MERGE_RESCALES}
   * @param keys       RANDOM, DELLA: key of each model's stream as two u32, low first; else may be empty
   * @param consensus  elect a sign per entry (+ when shares cancel) and mix what has it
   * @param normalize  divide by the sum of the weights that took part
   * Passes: 1, plus one for MAGNITUDE, BREADCRUMBS (two when many entries are equal, or for both ends), DELLA,
   * plus one for MATCH_L1.
   */
  mergeTaskVectors(
    base: Handle,
    xs: readonly Handle[],
    weights: readonly number[],
    method: MergeMethodCode,
    densities: readonly number[],
    extras: readonly number[],
    rescale: MergeRescaleCode,
    keys: readonly number[],
    consensus: boolean,
    normalize: boolean,
    lambda: number,
  ): Handle;
  /** Keeps the share `selectTopk` of entries with the largest variance, weights by energy, erases minority signs. Two passes; four below 1. Wan et al. 2024. */
  mergeSce(base: Handle, xs: readonly Handle[], selectTopk: number): Handle;
  /** base + means of deltas above epsilon; single ones times 1 + r·min(shared/unique, alpha). r = 0: one pass, else two. arXiv:2601.13572. */
  mergeRam(base: Handle, xs: readonly Handle[], epsilon: number, r: number, alpha: number): Handle;
  /** w·b + (1−w)·a, w = t/|a−b| in 0..1. One pass. */
  mergeNearswap(a: Handle, b: Handle, t: number): Handle;
  /** x where |x−base|·KL of the row's softmaxes is at least median + 1.5 interquartile ranges, else base. Rows: the last axis. */
  mergeArceeFusion(base: Handle, x: Handle): Handle;

  // -- quantisation ------------------------------------------------------------------------------------
  /**
   * BitNet b1.58 weights, any shape: codes = round(w/m) clipped to ±1, with m = max(mean |w|, 1e-5).
   * @returns [codes i8, step f32[1] = m]; ARGUMENT: an element is NaN or infinite. Ma et al. 2024, arXiv:2402.17764 eq. 1–3
   */
  absmeanQuantize(w: Handle): [codes: Handle, step: Handle];
  /** step · codes of the same, f32; NaN where the mean is. */
  absmeanFakeQuantize(w: Handle): Handle;
  /**
   * Rows of x[..., C] to int8: round(x · s), ties to even, with s = 127 / max(max |x|, 1e-5).
   * @returns [codes i8[..., C], steps f32[...] = 1/s]; ARGUMENT: an element is NaN or infinite
   */
  absmaxQuantize(x: Handle): [codes: Handle, steps: Handle];
  /** codes / s of the same, f32. */
  absmaxFakeQuantize(x: Handle): Handle;
  /**
   * x f32[..., C] -> u8[..., C / elements · bytes] in a block format of GGUF, byte for byte as ggml's reference.
   * SHAPE: C is not a multiple of the block; ARGUMENT: an element is NaN, infinite, or too large for the format's f16.
   */
  encodeBlocks(x: Handle, format: BlockFormatCode): Handle;
  /** The f32 values of blocks u8[..., bytes]; SHAPE: not whole blocks. */
  decodeBlocks(blocks: Handle, format: BlockFormatCode): Handle;
  /** codes i8[N, K] in −1, 0, 1 -> u8[⌈N/16⌉, ⌈K/16⌉, 64]; ARGUMENT: another code. Layout: src/cpu/ternary.h. */
  ternaryPack(codes: Handle): Handle;
  /** i8[rows, columns]; SHAPE: packed has another size; ARGUMENT: a code that pack never writes. */
  ternaryUnpack(packed: Handle, rows: number, columns: number): Handle;
  /** codes i8[..., K] · packed[rows, K]ᵀ -> i32[..., rows], exact. K ≤ 2¹⁸. */
  ternaryAccumulate(codes: Handle, packed: Handle, rows: number): Handle;
  /**
   * x f32[..., K] · (steps ∘ packed[rows, K])ᵀ -> f32[..., rows]: rows of x become int8 as by absmaxQuantize, sums are exact
   * integers, and sum · (step of x · step of w) is rounded at the end. steps f32[1] or f32[rows]. K ≤ 2¹⁸.
   */
  ternaryMatmul(x: Handle, packed: Handle, steps: Handle, rows: number): Handle;
  /**
   * The best of all 2^bits − 1 seeds for each `block` of w/scale (any shape; the last block padded with zeros):
   * block ≈ U(seed) · q · 2^exponent, U[block, rank] from a shift register of `bits`, q and exponent 4-bit integers.
   * @param bits   2..24   @param block 1..64   @param rank 1..4, at most block
   * @returns [seeds i32[n], fields i8[n, 1 + rank]: exponent, then q]. ARGUMENT: not finite, scale not positive.
   *          Shafipour et al. 2024, arXiv:2410.10714; exponent ⌊log₂ max |t|⌋ − 2, so that q fills its four bits
   */
  seedlmEncode(
    w: Handle,
    scale: number,
    bits: number,
    block: number,
    rank: number,
  ): [seeds: Handle, fields: Handle];
  /** The first `count` weights, f32[count]; ARGUMENT: a seed, exponent or q out of range. Same bytes on every machine. */
  seedlmDecode(
    seeds: Handle,
    fields: Handle,
    scale: number,
    bits: number,
    block: number,
    count: number,
  ): Handle;
  /** The first nearest of centroids[K, D], D ≤ 256, to each row of x[N, D] -> [index i32[N], squared distance f32[N]]. */
  nearestCentroid(x: Handle, centroids: Handle): [index: Handle, distance: Handle];
  /**
   * Lloyd's k-means of x[N, D] from k-means++ centres (Arthur & Vassilvitskii 2007), on at most 256·K sampled rows.
   * @param weights     f32[N] ≥ 0, or null for ones: how much each row counts
   * @param iterations  at most; fewer when no row changes its centroid
   * @returns [centroids[K, D], index i32[N], squared distance f32[N]] ARGUMENT: K is not in 1..N
   */
  kmeans(
    x: Handle,
    weights: Handle | null,
    k: number,
    iterations: number,
    seedLo: number,
    seedHi: number,
  ): [centroids: Handle, index: Handle, distance: Handle];
  /**
   * Pairs of weights as numbers of a cell that one trajectory passes: Fan et al. 2024, arXiv:2409.00592. Pairs are centred on
   * their mean; those outside the square of `side` are drawn in by one of `classes` factors; the square has cells² cells.
   * @returns [codes i32[⌈n/2⌉] in 0..(classes + 1)·cells² − 1, frame f32[3]: the centre, and how far the farthest pair lies outside]
   */
  hyperEncode(w: Handle, side: number, cells: number, classes: number): [codes: Handle, frame: Handle];
  /** The first `count` weights, f32[count]; ARGUMENT: a code out of range. */
  hyperDecode(
    codes: Handle,
    frame: Handle,
    side: number,
    cells: number,
    classes: number,
    count: number,
  ): Handle;
  /** Values of i32, i8 or u8, `width` bits each (1..31), least significant bit first -> u8[⌈n·width/8⌉]. ARGUMENT: a value does not fit. */
  packBits(values: Handle, width: number, isSigned: boolean): Handle;
  /** The first `count` values, i32; SHAPE: another number of bytes than they take. */
  unpackBits(bytes: Handle, count: number, width: number, isSigned: boolean): Handle;

  // -- key-value cache --------------------------------------------------------------------------------
  /** dst[atRow .. atRow + T) := src; dst[S, ...], src[T, ...], same dtype and row shape. */
  copyRows(dst: Handle, src: Handle, atRow: number): void;
}
