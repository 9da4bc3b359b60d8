import type { Handle } from '@agentforge/native';
import { native } from '../backend.js';
import { streamRecorder } from '../capture/stream-recorder.js';
import { noteStepsTaken } from '../check-finite.js';
import { empty, zeros } from '../create.js';
import { ArgumentError, StateError } from '../errors.js';
import type { Module } from '../nn/module.js';
import { type Tensor, zeroGrad } from '../tensor.js';

/** Parameters that share settings. */
export interface ParameterGroup {
  /** Parameters by name; the names tie saved moments to them. */
  readonly params: ReadonlyMap<string, Tensor>;
  /** Decoupled decay per unit of learning rate. Default: the optimizer's. */
  readonly weightDecay?: number;
  /** Factor of the learning rate. Default 1. */
  readonly lrScale?: number;
}

/** Settings of AdamW; defaults are those of torch.optim.AdamW. */
export interface AdamWOptions {
  readonly lr: number;
  /** Decay of the first and second moment. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment. Default 1e-8. */
  readonly eps?: number;
  /** Default 0.01. */
  readonly weightDecay?: number;
  /** Amplify the slow part of gradients before the step, after clipping. Default: off. */
  readonly grokfast?: GrokfastOptions;
}

/** Settings of the Grokfast-EMA filter; defaults are those of its authors' function. */
export interface GrokfastOptions {
  /** Decay of the running gradient, [0, 1). Default 0.98. */
  readonly alpha?: number;
  /** Factor of the running gradient that is added. Default 2. */
  readonly lambda?: number;
}

/** The saved numbers of one parameter. */
export interface AdamWMoments {
  readonly m: Float32Array;
  readonly v: Float32Array;
  /** The running gradient of Grokfast; absent without the filter, and before the first gradient. */
  readonly mu?: Float32Array;
}

/** What a checkpoint needs to go on exactly: steps taken, both moments of each parameter. */
export interface AdamWState {
  readonly step: number;
  readonly moments: ReadonlyMap<string, AdamWMoments>;
}

type Four = [Handle, Handle, Handle, Handle];

interface Slot {
  readonly parameter: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
  /** The running gradient, with Grokfast. */
  readonly mu: Tensor | null;
  /** Whether mu holds anything yet. */
  isFiltered: boolean;
  readonly weightDecay: number;
  readonly lrScale: number;
}

/** Parameters that share the settings of a step, and those in device memory: see adamwPrepared of the native core. */
interface Batch {
  readonly settings: Tensor;
  readonly lrScale: number;
  readonly weightDecay: number;
  readonly slots: Slot[];
}

// Rate, both betas, eps, decay, both corrections.
const SETTINGS = 7;

/** Two groups of a module's trainable parameters: matrices decay, vectors (gains, biases) do not. */
export function decayGroups(module: Module, weightDecay: number): ParameterGroup[] {
  const named = [...module.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
  return [
    { params: new Map(named.filter(([, tensor]) => tensor.shape.length >= 2)), weightDecay },
    { params: new Map(named.filter(([, tensor]) => tensor.shape.length < 2)), weightDecay: 0 },
  ];
}

/**
 * Adam with decoupled weight decay, f32, in one native pass per parameter. Parameters without a
 * gradient are left alone in that step. With `grokfast` the gradient g becomes g + λμ, μ its running mean, which starts
 * at the first gradient: a constant gradient is multiplied by 1 + λ.
 * @see Lee et al. 2024, arXiv:2405.20233 (Grokfast-EMA)
 * @see Loshchilov & Hutter 2019, arXiv:1711.05101 algorithm 2; agrees with torch.optim.AdamW to 1e-6 relative
 */
export class AdamW {
  private readonly slots = new Map<string, Slot>();
  private readonly lr: number;
  private readonly betas: readonly [number, number];
  private readonly eps: number;
  private readonly grokfast: Required<GrokfastOptions> | null;
  private steps = 0;
  /** What prepare() writes to; made by the first call. */
  private prepared: readonly Batch[] | null = null;
  /** Slots that apply() moved since the last commit(). */
  private readonly applied = new Set<Slot>();

  /** @throws ArgumentError INVALID_ARGUMENT: a name twice, or a parameter that requires no gradient */
  constructor(groups: readonly ParameterGroup[], options: AdamWOptions) {
    const { lr, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 } = options;
    this.lr = lr;
    this.betas = betas;
    this.eps = eps;
    this.grokfast = options.grokfast === undefined ? null : { alpha: 0.98, lambda: 2, ...options.grokfast };
    for (const group of groups) {
      for (const [name, parameter] of group.params) {
        if (this.slots.has(name)) throw new ArgumentError(`AdamW: parameter ${name} is in two groups`);
        if (!parameter.requiresGrad) throw new ArgumentError(`AdamW: ${name} requires no gradient`);
        this.slots.set(name, {
          parameter,
          m: zeros(parameter.shape).keep(),
          v: zeros(parameter.shape).keep(),
          mu: this.grokfast === null ? null : zeros(parameter.shape).keep(),
          isFiltered: false,
          weightDecay: group.weightDecay ?? weightDecay,
          lrScale: group.lrScale ?? 1,
        });
      }
    }
  }

  /** Steps taken so far. */
  get stepCount(): number {
    return this.steps;
  }

  /**
   * Moves every parameter that has a gradient.
   * @param lr         learning rate of this step; default: the constructor's
   * @param gradScale  gradients are read as gradScale · grad (clipping, averaging); default 1
   */
  step({ lr = this.lr, gradScale = 1 }: { readonly lr?: number; readonly gradScale?: number } = {}): void {
    if (streamRecorder() !== null) {
      throw new StateError(
        'AdamW: step() in a captured step would keep its rate and corrections; call prepare() before replay(), apply() in the step',
      );
    }
    this.steps++;
    for (const slot of this.slots.values()) {
      const { grad } = slot.parameter;
      if (grad !== null) this.move(slot, grad, lr * slot.lrScale, gradScale);
    }
    noteStepsTaken(this.steps);
  }

  private move(slot: Slot, grad: Tensor, lr: number, gradScale: number): void {
    const [x, g, m, v] = [slot.parameter, grad, slot.m, slot.v].map((tensor) => tensor.use('AdamW')) as Four;
    const { steps, eps, grokfast } = this;
    const [beta1, beta2] = this.betas;
    const api = native();
    if (grokfast === null || slot.mu === null) {
      api.adamw(x, g, m, v, lr, beta1, beta2, eps, slot.weightDecay, steps, gradScale);
      return;
    }
    const { alpha, lambda } = grokfast;
    const [mu, starts] = [slot.mu.use('AdamW'), !slot.isFiltered];
    api.adamwGrokfast(
      x,
      g,
      mu,
      m,
      v,
      lr,
      beta1,
      beta2,
      eps,
      slot.weightDecay,
      steps,
      gradScale,
      alpha,
      lambda,
      starts,
    );
    slot.isFiltered = true;
  }

  /**
   * The host's part of a step that apply() takes: writes rate and corrections of the next step to the device. Before each
   * replay of a captured step, or each call of apply().
   * @param lr  learning rate of this step; default: the constructor's
   */
  prepare({ lr = this.lr }: { readonly lr?: number } = {}): void {
    const [beta1, beta2] = this.betas;
    const step = this.steps + 1;
    this.applied.clear(); // of a step that was not committed
    for (const { settings, lrScale, weightDecay } of this.batches()) {
      const corrections = [1 - beta1 ** step, 1 - beta2 ** step];
      settings.write(Float64Array.of(lr * lrScale, beta1, beta2, this.eps, weightDecay, ...corrections));
    }
  }

  /**
   * The device's part: moves every parameter that has a gradient as step() does, with what prepare() wrote and without
   * waiting. Counts once commit() is called.
   * @param clip  of clipScale(): gradients are read as scale · grad, and a scale of NaN changes nothing; default: 1
   * @throws StateError INVALID_ARGUMENT: prepare() was not called; or a step is captured before Grokfast has seen a gradient
   */
  apply({ clip = null }: { readonly clip?: Tensor | null } = {}): void {
    if (this.prepared === null) throw new StateError('AdamW: apply() needs prepare() before');
    const { alpha, lambda } = this.grokfast ?? { alpha: 0, lambda: 0 };
    const handles = (slots: readonly Slot[], of: (slot: Slot) => Tensor | null): Handle[] =>
      slots.flatMap((slot) => of(slot)?.use('AdamW') ?? []);
    for (const { settings, slots } of this.prepared) {
      const moved = slots.filter(({ parameter }) => parameter.grad !== null);
      for (const starts of this.grokfast === null ? [false] : [true, false]) {
        const some = this.grokfast === null ? moved : moved.filter((slot) => slot.isFiltered !== starts);
        if (some.length === 0) continue;
        if (starts && streamRecorder() !== null) {
          throw new StateError(
            'AdamW: a captured step would start the Grokfast filter anew in every replay; take a step before',
          );
        }
        native().adamwPrepared(
          handles(some, ({ parameter }) => parameter),
          handles(some, ({ parameter }) => parameter.grad),
          handles(some, ({ m }) => m),
          handles(some, ({ v }) => v),
          handles(some, ({ mu }) => mu),
          settings.use('AdamW'),
          clip?.use('AdamW') ?? null,
          alpha,
          lambda,
          starts,
        );
        for (const slot of some) this.applied.add(slot);
      }
    }
  }

  /** Counts the step that apply() took, or that a replay took: the moments are those of one more step. */
  commit(): void {
    this.steps++;
    for (const slot of this.applied) slot.isFiltered = slot.mu !== null;
    this.applied.clear();
    noteStepsTaken(this.steps);
  }

  /** Parameters by what their settings follow from, with room for these on the device. */
  private batches(): readonly Batch[] {
    if (this.prepared !== null) return this.prepared;
    const batches = new Map<string, Batch>();
    for (const slot of this.slots.values()) {
      const { lrScale, weightDecay } = slot;
      const key = `${lrScale} ${weightDecay}`;
      const batch = batches.get(key);
      if (batch !== undefined) batch.slots.push(slot);
      else {
        const settings = empty([SETTINGS], { dtype: 'f64' }).keep();
        batches.set(key, { settings, lrScale, weightDecay, slots: [slot] });
      }
    }
    this.prepared = [...batches.values()];
    return this.prepared;
  }

  /** Starts the gradients of all parameters anew. */
  zeroGrad(): void {
    for (const { parameter } of this.slots.values()) zeroGrad([parameter]);
  }

  /** A copy of everything a later importState() needs. */
  exportState(): AdamWState {
    const moments = new Map<string, AdamWMoments>();
    for (const [name, { m, v, mu, isFiltered }] of this.slots) {
      const filter = mu !== null && isFiltered ? { mu: mu.toFloat32Array() } : {};
      moments.set(name, { m: m.toFloat32Array(), v: v.toFloat32Array(), ...filter });
    }
    return { step: this.steps, moments };
  }

  /**
   * Goes on where exportState() was called. Nothing is changed unless everything fits.
   * @throws StateError INVALID_ARGUMENT: names or sizes differ, or step is not a count
   */
  importState(state: AdamWState): void {
    if (!Number.isSafeInteger(state.step) || state.step < 0)
      throw new StateError(`AdamW: step ${state.step}`);
    const unknown = [...state.moments.keys()].find((name) => !this.slots.has(name));
    if (unknown !== undefined)
      throw new StateError(`AdamW: state has moments of ${unknown}, which is not optimized`);
    const writes: (() => void)[] = [];
    for (const [name, slot] of this.slots) {
      const { m, v, mu, parameter } = slot;
      const saved = state.moments.get(name);
      if (saved?.m.length !== parameter.size || saved.v.length !== parameter.size) {
        throw new StateError(`AdamW: state lacks ${parameter.size} moments of ${name}`);
      }
      if (saved.mu !== undefined && saved.mu.length !== parameter.size) {
        throw new StateError(`AdamW: state has ${saved.mu.length} filtered gradients of ${name}`);
      }
      writes.push(() => {
        m.write(saved.m);
        v.write(saved.v);
        if (saved.mu !== undefined) mu?.write(saved.mu);
        slot.isFiltered = saved.mu !== undefined;
      });
    }
    for (const write of writes) write();
    this.steps = state.step;
    noteStepsTaken(this.steps);
  }

  /** Frees the moments. */
  dispose(): void {
    for (const { m, v, mu } of this.slots.values()) {
      m.dispose();
      v.dispose();
      mu?.dispose();
    }
    for (const { settings } of this.prepared ?? []) settings.dispose();
    this.prepared = null;
    this.slots.clear();
  }
}
