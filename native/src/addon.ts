import type { MergeFunctions } from './addon-merge.js';
import type { QuantizeFunctions } from './addon-quantize.js';
import type {
  ActivationCode,
  BackendInfo,
  DTypeCode,
  ElementArray,
  Handle,
  InitOptions,
  MemoryStats,
  ProbeAttempt,
  RopePairing,
  StoredWeightsCode,
} from './addon-types.js';

/**
 * Every function of the `.node` addon, in the order of `src/addon/exports.cc`.
 *
 * A tensor is dense, row-major, at most 6-dimensional, and known to JavaScript by a number. All
 * outputs are new tensors that the caller frees, unless the name says `InPlace` or a destination is
 * passed. Compute ops take f32 (indices: i32); the other dtypes are storage.
 *
 * Every function throws `NativeError`: HANDLE (freed, or made by another thread), DTYPE,
 * SHAPE (the message names the op and all shapes), ARGUMENT (a number out of range), OOM (bytes asked
 * for, live, cached, limit), UNSUPPORTED (the device lacks the op, and fallback is refused), DEVICE (the device cannot be used).
 * A call that throws has changed nothing. A device is not waited for to check indices: a bad one is replaced by 0,
 * AdamW changes nothing from then on, and the next call that waits (read, item, …) throws ARGUMENT with the op that met it.
 *
 * The same call gives the same bytes whatever the thread count: work is split over independent
 * outputs, and reductions have a fixed order.
 */
export interface NativeAddon extends MergeFunctions, QuantizeFunctions {
  // -- process ---------------------------------------------------------------------------------
  /**
   * Chooses the device and starts the thread pool. A second call with another `threads` or `device` throws ARGUMENT;
   * a device that cannot be used throws DEVICE with every path tried.
   * What a device lacks runs on the processor and is counted by {@link fallbacks}, or with `fallback: 'refuse'` throws
   * UNSUPPORTED.
   */
  init(options: InitOptions): void;
  /** Why `init` could not use a device: a line per path tried, none when it can. */
  deviceProbe(device: 'cpu' | 'cuda'): ProbeAttempt[];
  backendInfo(): BackendInfo;
  /** Whether the device of this process runs a function of this table; false for a name that is not here. */
  supportsOp(name: string): boolean;
  /** Calls of all threads that ran on the processor because the device lacks the function: count by name. */
  fallbacks(): Record<string, number>;
  memoryStats(): MemoryStats;
  /** Sets peakBytes to liveBytes. */
  resetPeak(): void;
  /** Returns cached blocks to the operating system. */
  emptyCache(): void;

  // -- captured steps: devices that record work (backendInfo().captures) ------------------------------------
  /**
   * From here to {@link endCapture} calls of this thread are recorded, not run. UNSUPPORTED from any call that would wait for
   * the device, move elements to or from the host, or run on the processor; it is left out of the recording.
   */
  beginCapture(): void;
  /** Ends the recording and gives its number. Memory that it uses stays its own until {@link freeCapture}. */
  endCapture(): number;
  /** Ends a recording, if there is one, and forgets it. */
  abortCapture(): void;
  /** Runs what was recorded, on the same memory, after all earlier work of this thread. */
  replayCapture(step: number): void;
  freeCapture(step: number): void;

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
  /**
   * An f32 tensor from byte `position` of an open file, in parallel, exact. F16 and BF16 are widened while they are in cache.
   * ARGUMENT: the file ends before, or is none that can be read at a position; INTERNAL: the machine cannot read it.
   * @param file  descriptor, as FileHandle.fd
   */
  readWeights(file: number, position: number, type: StoredWeightsCode, shape: readonly number[]): Handle;
  /** Has so many bytes of an open file brought into memory, without waiting: for a reader that will ask for them next. */
  prefetchFile(file: number, position: number, bytes: number): void;
  /** Elements begin.. of an f32 tensor as files keep them, as many as fill `bytes`; to the nearest, ties to even. */
  encodeWeights(h: Handle, type: StoredWeightsCode, begin: number, bytes: Uint8Array): void;
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
  /** √Σ xs² and min(1, most / (norm + 1e-6)) -> f64[norm, scale]; scale is NaN unless norm and all guards are finite. */
  clipScale(xs: readonly Handle[], most: number, guards: readonly Handle[]): Handle;
  /** x *= weight in place, for weight f64[1], rounded to f32 first. */
  scaleBy(x: Handle, weight: Handle): void;
  /** y[count] = factor · weight · x in f64, rounded once, for x f32[1] and weight f64[1] or null (1). */
  expandScalar(x: Handle, factor: number, weight: Handle | null, count: number): Handle;
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
   * @param factors  what the angle of each pair is divided by, D/2 of them, > 0; none: nothing is divided
   * @param inverse  rotate back (this is also the gradient)
   */
  rope(
    x: Handle,
    position0: number,
    theta: number,
    factors: readonly number[],
    pairing: RopePairing,
    inverse: boolean,
  ): Handle;
  /**
   * softmax(scale · q kᵀ + mask) v, heads grouped: query head h uses key head h / (Hq/Hkv).
   * q[B,T,Hq,D], k, v[B,S,Hkv,D]; query t sits at position kvLength − T + t.
   * @param causal   only keys at positions ≤ the query's
   * @param window   only the last `window` positions up to the query's own (needs causal); 0 = all
   * @param kvLength keys in use, 0..S; −1 = S
   * @param mayRound operands of the products may be rounded to bf16 where that is faster (tensor cores; D ≤ 128); sums are f32
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
    mayRound: boolean,
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
    mayRound: boolean,
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

  /** 1 / (targets i32 other than ignoreIndex) -> f64[1]; infinite when there is none. */
  targetWeight(targets: Handle, ignoreIndex: number): Handle;
  /**
   * adamw (mus empty) or adamwGrokfast of many parameters, with numbers in tensors, so that a captured step can be given
   * others: settings f64[lr, beta1, beta2, eps, weightDecay, 1 − beta1^step, 1 − beta2^step]; clip f64[norm, gradScale] or
   * null (1). A gradScale of NaN changes nothing.
   */
  adamwPrepared(
    params: readonly Handle[],
    grads: readonly Handle[],
    ms: readonly Handle[],
    vs: readonly Handle[],
    mus: readonly Handle[],
    settings: Handle,
    clip: Handle | null,
    alpha: number,
    lambda: number,
    starts: boolean,
  ): void;

  // -- random numbers: Philox4x32-10, Salmon et al. 2011 ----------------------------------------------
  /**
   * Fills h with uniforms in [0,1): element e is word e%4 of block counter + e/4, its top 24 bits. Numbers are u32.
   * @param base  i32[2], a number of blocks, low word first, that is added to the counter; default none
   */
  philoxUniform(
    h: Handle,
    seedLo: number,
    seedHi: number,
    counterLo: number,
    counterHi: number,
    base?: Handle | null,
  ): void;
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
    base?: Handle | null,
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

  // -- key-value cache --------------------------------------------------------------------------------
  /** dst[atRow .. atRow + T) := src; dst[S, ...], src[T, ...], same dtype and row shape. */
  copyRows(dst: Handle, src: Handle, atRow: number): void;
}
