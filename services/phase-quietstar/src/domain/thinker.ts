import {
  type BatchCursor,
  type BatchCursorState,
  LlamaModel,
  MixingHead,
  type ModelConfig,
  NonFiniteLossError,
  parameterShapes,
  ThinkingModel,
  type ThinkStepResult,
  type Tokenizer,
  thinkStep,
} from '@agentforge/model';
import {
  AdamW,
  type AdamWState,
  type ParameterGroup,
  type Philox,
  type Tensor,
  warmupCosine,
} from '@agentforge/tensor';
import { TrainingDivergedError } from './quietstar.errors.js';
import { type QuietstarConfig, thoughtLengthAt } from './quietstar-config.js';

/** What is trained: thoughts, and the control with as many pauses, from the same start on the same batches. */
export const ARMS = ['thoughts', 'pause'] as const;

/** One of {@link ARMS}. */
export type Arm = (typeof ARMS)[number];

/** Weights by name: those of the Llama begin with `llama.`. */
export type ThinkerWeights = ReadonlyMap<string, Float32Array>;

/** Everything that training goes on from. */
export interface ThinkerState {
  readonly weights: ThinkerWeights;
  readonly optimizer: AdamWState;
  readonly cursor: BatchCursorState;
}

const LLAMA_PREFIX = 'llama.';

/** A model in training: weights, optimizer, position in its data. Frees its memory with `dispose`. */
export class Thinker {
  private constructor(
    readonly model: ThinkingModel,
    private readonly optimizer: AdamW,
    private readonly cursor: BatchCursor,
    private readonly config: QuietstarConfig,
    private readonly arm: Arm,
    private readonly rng: Philox,
  ) {}

  /** The input model, which has not thought yet. Both arms begin with the same marks and the same head. */
  static begin(
    arm: Arm,
    llama: { readonly config: ModelConfig; readonly weights: ThinkerWeights },
    tokenizer: Tokenizer,
    cursor: BatchCursor,
    config: QuietstarConfig,
    rng: Philox,
  ): Thinker {
    const model = ThinkingModel.begin(
      LlamaModel.fromState(llama.config, llama.weights),
      tokenizer,
      rng.stream('initialisation'),
    );
    return new Thinker(model, newOptimizer(model, config), cursor, config, arm, rng);
  }

  /** A model exactly as it was; `cursor` is over the same data. */
  static restore(
    arm: Arm,
    shape: ModelConfig,
    state: ThinkerState,
    cursor: BatchCursor,
    config: QuietstarConfig,
    rng: Philox,
  ): Thinker {
    cursor.restore(state.cursor);
    const model = modelOf(shape, state.weights);
    const optimizer = newOptimizer(model, config);
    optimizer.importState(state.optimizer);
    return new Thinker(model, optimizer, cursor, config, arm, rng);
  }

  /**
   * One optimizer step.
   * @param step  from 0
   * @throws TrainingDivergedError  FAILED_PRECONDITION: loss or gradient is not finite
   */
  step(step: number): ThinkStepResult {
    const { config } = this;
    const schedule = warmupCosine({
      peak: config.learning_rate,
      floor: config.min_learning_rate,
      warmupSteps: config.warmup_steps,
      totalSteps: config.steps,
    });
    try {
      return thinkStep(this.model, this.optimizer, this.cursor.next(), {
        kind: this.arm,
        thoughts: config.thoughts,
        thoughtLength: thoughtLengthAt(config, step),
        ahead: config.ahead,
        temperature: config.temperature,
        plainWeight: config.plain_weight,
        policyWeight: config.policy_weight,
        lr: schedule(step),
        clipNorm: config.clip_norm,
        microBatch: config.micro_batch,
        rng: this.rng.stream(`thoughts of step ${step}`),
      });
    } catch (error) {
      if (error instanceof NonFiniteLossError) throw new TrainingDivergedError(step, error);
      throw error;
    }
  }

  /** A copy of the whole state. */
  state(): ThinkerState {
    return {
      weights: weightsOf(this.model),
      optimizer: this.optimizer.exportState(),
      cursor: this.cursor.state(),
    };
  }

  /** Frees weights and moments. */
  dispose(): void {
    this.optimizer.dispose();
    this.model.dispose();
  }
}

/** Copies of all weights by name. */
export function weightsOf(model: ThinkingModel): Map<string, Float32Array> {
  return new Map([...model.namedParameters()].map(([name, parameter]) => [name, parameter.toFloat32Array()]));
}

/** A thinking model with given weights, copied. */
export function modelOf(shape: ModelConfig, weights: ThinkerWeights): ThinkingModel {
  const llama = new Map<string, Float32Array>();
  for (const name of parameterShapes(shape).keys()) {
    llama.set(name, weights.get(LLAMA_PREFIX + name) ?? new Float32Array());
  }
  const head = new MixingHead(shape.hiddenSize, null);
  const marks = new Float32Array(3 * shape.hiddenSize);
  const model = new ThinkingModel(LlamaModel.fromState(shape, llama), marks, head);
  model.loadState(weights);
  return model;
}

/** Matrices decay, vectors do not; marks and mixing head, which begin untrained, learn faster. */
function newOptimizer(model: ThinkingModel, config: QuietstarConfig): AdamW {
  const groups = new Map<string, { params: Map<string, Tensor>; weightDecay: number; lrScale: number }>();
  for (const [name, parameter] of model.namedParameters()) {
    const isNew = !name.startsWith(LLAMA_PREFIX);
    const decays = parameter.shape.length >= 2 && name !== 'thought_tokens';
    const key = `${isNew} ${decays}`;
    const group = groups.get(key) ?? {
      params: new Map(),
      weightDecay: decays ? config.weight_decay : 0,
      lrScale: isNew ? config.new_lr_scale : 1,
    };
    group.params.set(name, parameter);
    groups.set(key, group);
  }
  const list: ParameterGroup[] = [...groups.values()];
  return new AdamW(list, {
    lr: config.learning_rate,
    betas: [config.beta1, config.beta2],
    weightDecay: config.weight_decay,
  });
}
