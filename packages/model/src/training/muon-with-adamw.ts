import {
  AdamW,
  type AdamWState,
  decayGroups,
  type Module,
  Muon,
  type ParameterGroup,
  StateError,
} from '@agentforge/tensor';

/** What a training step needs of an optimizer. */
export interface Optimizer {
  /** Moves every parameter that has a gradient; gradients are read as gradScale · grad. */
  step(options?: { readonly lr?: number; readonly gradScale?: number }): void;
  /** Starts the gradients of all parameters anew. */
  zeroGrad(): void;
}

/** Settings of `MuonWithAdamW`. */
export interface MuonWithAdamWOptions {
  /** Learning rate of AdamW; a schedule moves both rates by the same factor. */
  readonly lr: number;
  readonly betas: readonly [number, number];
  /** AdamW: decoupled decay of matrices. */
  readonly weightDecay: number;
  readonly muon: { readonly lr: number; readonly momentum: number; readonly weightDecay: number };
}

/** Moments of AdamW's parameters and momenta of Muon's, by name. */
export interface MuonWithAdamWState extends AdamWState {
  readonly momenta: ReadonlyMap<string, Float32Array>;
}

/**
 * Muon for the matrices inside blocks, AdamW for everything else: embeddings, output and halting heads, gains and biases,
 * and the first weights of memories, which have an axis of heads.
 */
export class MuonWithAdamW implements Optimizer {
  private readonly adamw: AdamW;
  private readonly muon: Muon;

  constructor(
    model: Module,
    private readonly options: MuonWithAdamWOptions,
  ) {
    const { lr, betas, weightDecay, muon } = options;
    const groups = decayGroups(model, weightDecay);
    this.adamw = new AdamW(
      groups.map((group) => pick(group, (name, axes) => !isHiddenMatrix(name, axes))),
      { lr, betas, weightDecay },
    );
    this.muon = new Muon(
      groups.map((group) => ({ params: pick(group, isHiddenMatrix).params })),
      muon,
    );
  }

  /** @param lr  of AdamW; Muon's is in the same proportion to its largest. Default: the constructor's */
  step({ lr = this.options.lr, gradScale = 1 }: { lr?: number; gradScale?: number } = {}): void {
    this.adamw.step({ lr, gradScale });
    this.muon.step({ lr: (this.options.muon.lr * lr) / this.options.lr, gradScale });
  }

  zeroGrad(): void {
    this.adamw.zeroGrad();
    this.muon.zeroGrad();
  }

  /** A copy of everything a later importState() needs. */
  exportState(): MuonWithAdamWState {
    return { ...this.adamw.exportState(), momenta: this.muon.exportState().momenta };
  }

  /**
   * Goes on where exportState() was called.
   * @throws StateError INVALID_ARGUMENT: it is the state of other parameters
   */
  importState(state: AdamWState & Partial<MuonWithAdamWState>): void {
    const { momenta } = state;
    if (momenta === undefined) throw new StateError('Muon: state has no momenta');
    this.muon.importState({ step: state.step, momenta });
    this.adamw.importState(state);
  }

  /** Frees moments and momenta. */
  dispose(): void {
    this.adamw.dispose();
    this.muon.dispose();
  }
}

function isHiddenMatrix(name: string, axes: number): boolean {
  return axes === 2 && name.startsWith('model.layers.');
}

function pick(group: ParameterGroup, isWanted: (name: string, axes: number) => boolean): ParameterGroup {
  const params = [...group.params].filter(([name, { shape }]) => isWanted(name, shape.length));
  return { ...group, params: new Map(params) };
}
