import { native } from '../backend.js';
import { noteStepsTaken } from '../check-finite.js';
import { zeros } from '../create.js';
import { ArgumentError, StateError } from '../errors.js';
import { type Tensor, zeroGrad } from '../tensor.js';
import type { ParameterGroup } from './adamw.js';

/** Settings of Muon; defaults are those of its authors' record runs. */
export interface MuonOptions {
  /** Default 0.02. */
  readonly lr?: number;
  /** Decay of the running gradient. Default 0.95. */
  readonly momentum?: number;
  /** Look ahead: mix the gradient into the momentum once more. Default true. */
  readonly nesterov?: boolean;
  /** Decoupled decay per unit of learning rate. Default 0.01. */
  readonly weightDecay?: number;
  /** Newton–Schulz iterations. Default 5. */
  readonly iterations?: number;
}

/** What a checkpoint needs to go on exactly: steps taken, the momentum of each matrix. */
export interface MuonState {
  readonly step: number;
  readonly momenta: ReadonlyMap<string, Float32Array>;
}

interface Slot {
  readonly parameter: Tensor;
  readonly m: Tensor;
  readonly weightDecay: number;
  readonly lrScale: number;
}

/**
 * Momentum, orthogonalised: every update of a matrix has singular values near 1, scaled by √max(1, rows/columns).
 * For hidden matrices only; embeddings, the output head and vectors belong to AdamW. Matrices without a gradient are
 * left alone in that step.
 * @see Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"
 */
export class Muon {
  private readonly slots = new Map<string, Slot>();
  private readonly settings: Required<MuonOptions>;
  private steps = 0;

  /** @throws ArgumentError INVALID_ARGUMENT: a name twice, not a matrix, or a parameter that requires no gradient */
  constructor(groups: readonly ParameterGroup[], options: MuonOptions = {}) {
    this.settings = {
      lr: 0.02,
      momentum: 0.95,
      nesterov: true,
      weightDecay: 0.01,
      iterations: 5,
      ...options,
    };
    for (const group of groups) {
      for (const [name, parameter] of group.params) {
        if (this.slots.has(name)) throw new ArgumentError(`Muon: parameter ${name} is in two groups`);
        if (!parameter.requiresGrad) throw new ArgumentError(`Muon: ${name} requires no gradient`);
        if (parameter.shape.length !== 2) {
          throw new ArgumentError(
            `Muon: ${name} has ${parameter.shape.length} axes; only matrices have singular values`,
          );
        }
        this.slots.set(name, {
          parameter,
          m: zeros(parameter.shape).keep(),
          weightDecay: group.weightDecay ?? this.settings.weightDecay,
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
   * Moves every matrix that has a gradient.
   * @param lr         learning rate of this step; default: the constructor's
   * @param gradScale  gradients are read as gradScale · grad (clipping, averaging); default 1
   */
  step({
    lr = this.settings.lr,
    gradScale = 1,
  }: {
    readonly lr?: number;
    readonly gradScale?: number;
  } = {}): void {
    const { momentum, nesterov, iterations } = this.settings;
    this.steps++;
    for (const { parameter, m, weightDecay, lrScale } of this.slots.values()) {
      const { grad } = parameter;
      if (grad === null) continue;
      const [x, g, running] = [parameter.use('Muon'), grad.use('Muon'), m.use('Muon')];
      native().muon(x, g, running, lr * lrScale, momentum, nesterov, weightDecay, iterations, gradScale);
    }
    noteStepsTaken(this.steps);
  }

  /** Starts the gradients of all parameters anew. */
  zeroGrad(): void {
    for (const { parameter } of this.slots.values()) zeroGrad([parameter]);
  }

  /** A copy of everything a later importState() needs. */
  exportState(): MuonState {
    const momenta = new Map([...this.slots].map(([name, { m }]) => [name, m.toFloat32Array()]));
    return { step: this.steps, momenta };
  }

  /**
   * Goes on where exportState() was called. Nothing is changed unless everything fits.
   * @throws StateError INVALID_ARGUMENT: names or sizes differ, or step is not a count
   */
  importState(state: MuonState): void {
    if (!Number.isSafeInteger(state.step) || state.step < 0) throw new StateError(`Muon: step ${state.step}`);
    const unknown = [...state.momenta.keys()].find((name) => !this.slots.has(name));
    if (unknown !== undefined) {
      throw new StateError(`Muon: state has a momentum of ${unknown}, which is not optimized`);
    }
    const writes = [...this.slots].map(([name, { m, parameter }]) => {
      const saved = state.momenta.get(name);
      if (saved?.length !== parameter.size) {
        throw new StateError(`Muon: state lacks ${parameter.size} momenta of ${name}`);
      }
      return () => m.write(saved);
    });
    for (const write of writes) write();
    this.steps = state.step;
    noteStepsTaken(this.steps);
  }

  /** Frees the momenta. */
  dispose(): void {
    for (const { m } of this.slots.values()) m.dispose();
    this.slots.clear();
  }
}
