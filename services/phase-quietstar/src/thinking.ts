import {
  BatchCursor,
  type ScoredRow,
  scoreThinking,
  type ThinkingModel,
  type ThinkingPoint,
} from '@agentforge/model';
import type { FileSet, PhaseContext, StoredBlob } from '@agentforge/phase-runtime/worker';
import { Philox } from '@agentforge/tensor';
import { isKept, type ThinkingCurvePoint } from './domain/curves.js';
import { type QuietstarConfig, thoughtLengthAt } from './domain/quietstar-config.js';
import { textRows } from './domain/scored-rows.js';
import {
  ARMS,
  type Arm,
  modelOf,
  Thinker,
  type ThinkerState,
  type ThinkerWeights,
  weightsOf,
} from './domain/thinker.js';
import { decodeThinking, encodeThinking, encodeWeights, type PredictedSoFar } from './thinking-checkpoint.js';
import type { ThinkingInputs } from './thinking-inputs.js';

/** Share of the work that training is, for progress. */
const TRAINING = 0.85;

/** What both arms predict for the same tokens. */
export type Predictions = Readonly<Record<Arm, readonly ThinkingPoint[]>>;

/** What training and judging brought. */
export interface Thought {
  readonly weights: ThinkerWeights;
  /** On the text of the report split. */
  readonly text: Predictions;
  /** On the answers of the tasks; null when there are none. */
  readonly answers: Predictions | null;
  readonly points: readonly ThinkingCurvePoint[];
}

/**
 * Trains both arms one after the other, then lets both predict. At any moment the state is (arm, step, tensors, cursor, curves,
 * trained arms, predictions): all of it goes into a checkpoint, and nothing else has an influence on what comes out.
 */
export class Thinking {
  private readonly config: QuietstarConfig;
  private readonly rng: Philox;
  private readonly trained: { weights: ThinkerWeights; blob: StoredBlob }[] = [];
  private points: ThinkingCurvePoint[] = [];
  private readonly predicted = new Map<string, PredictedSoFar>();
  private arm = 0;
  private step = 0;

  constructor(
    private readonly context: PhaseContext<QuietstarConfig>,
    private readonly inputs: ThinkingInputs,
  ) {
    this.config = context.config;
    this.rng = new Philox(context.seed).stream('quietstar');
  }

  /** Does the work, from the last checkpoint where there is one. */
  async run(): Promise<Thought> {
    const { identity } = this.inputs;
    const restored = await this.context.restore((checkpoint) => decodeThinking(checkpoint, identity));
    if (restored) {
      ({ arm: this.arm, step: this.step } = restored);
      this.points = [...restored.points];
      this.trained.push(...restored.trained);
      for (const [key, soFar] of restored.predicted) this.predicted.set(key, soFar);
    }
    let saved = restored?.learner ?? null;
    for (; this.arm < ARMS.length; this.arm++) {
      await this.train(ARMS[this.arm] as Arm, saved);
      saved = null;
    }
    const { report, tasks } = this.inputs;
    const rows = textRows(report, this.config.sequence_length, this.config.report_tokens);
    const text = await this.predict(rows, 'text', TRAINING, tasks ? 0.93 : 0.98);
    const answers = tasks ? await this.predict(tasks, 'tasks', 0.93, 0.98) : null;
    return { weights: this.trained[0]?.weights ?? new Map(), text, answers, points: this.points };
  }

  /** Trains one arm to its end. */
  private async train(arm: Arm, saved: ThinkerState | null): Promise<void> {
    const { config, context } = this;
    const thinker = this.thinker(arm, saved);
    if (!saved) this.step = 0;
    try {
      while (this.step < config.steps) {
        this.trainStep(arm, thinker);
        if (context.isSafePointDue()) await context.safePoint(() => this.snapshot(thinker));
      }
      const weights = weightsOf(thinker.model);
      this.trained.push({ weights, blob: await context.store(encodeWeights(weights)) });
    } finally {
      thinker.dispose();
    }
  }

  private thinker(arm: Arm, saved: ThinkerState | null): Thinker {
    const { config, inputs, rng } = this;
    // One seed for both arms: they see the same batches in the same order.
    const cursor = new BatchCursor([{ name: 'corpus', stream: inputs.train }], {
      batchSize: config.batch_size,
      length: config.sequence_length,
      seed: rng.stream('batches'),
    });
    return saved
      ? Thinker.restore(arm, inputs.config, saved, cursor, config, rng)
      : Thinker.begin(arm, inputs, inputs.tokenizer, cursor, config, rng);
  }

  private trainStep(arm: Arm, thinker: Thinker): void {
    const { config, context } = this;
    const { talkNats, plainNats, plainShare, rewardNats } = thinker.step(this.step);
    this.step += 1;
    const { step } = this;
    const point = (series: string, value: number) => ({ series, subject: arm, step, value });
    const points = [
      point('loss', talkNats),
      point('loss/plain', plainNats),
      point('plain_share', plainShare),
    ];
    if (arm === 'thoughts') points.push(point('reward', rewardNats));
    const kept = isKept(step, config.steps) ? points.slice() : [];
    if (step % config.eval_interval === 0 || step === config.steps) {
      const loss = point('loss/fitness', this.fitnessLoss(arm, thinker.model));
      points.push(loss);
      kept.push(loss);
    }
    this.points.push(...kept);
    const fraction = (TRAINING * (this.arm + step / config.steps)) / ARMS.length;
    const words = arm === 'thoughts' ? 'learning to think' : 'training the control with pauses';
    context.progress(fraction, words, points);
  }

  /** Loss with thoughts, or pauses, on the first tokens of the fitness split. */
  private fitnessLoss(arm: Arm, model: ThinkingModel): number {
    const { config, inputs } = this;
    const rows = textRows(inputs.fitness, config.sequence_length, config.eval_tokens);
    const length = thoughtLengthAt(config, this.step - 1);
    const points = this.score(arm, model, rows, length, 'fitness');
    return points.reduce((sum, { talkNats }) => sum + talkNats, 0) / points.length;
  }

  /** What both arms predict, batch by batch, with a safe point after each. */
  private async predict(
    rows: readonly ScoredRow[],
    name: string,
    from: number,
    to: number,
  ): Promise<Predictions> {
    const found: Record<Arm, readonly ThinkingPoint[]> = { thoughts: [], pause: [] };
    for (const [i, arm] of ARMS.entries()) {
      const progress = (share: number) => {
        const fraction = from + ((to - from) * (i + share)) / ARMS.length;
        this.context.progress(fraction, `judging ${arm} on ${name}`);
      };
      found[arm] = await this.predictAs(arm, rows, name, progress);
    }
    return found;
  }

  /** What one arm predicts, from where the last checkpoint ends. */
  private async predictAs(
    arm: Arm,
    rows: readonly ScoredRow[],
    name: string,
    progress: (share: number) => void,
  ): Promise<readonly ThinkingPoint[]> {
    const { config, context, inputs, predicted } = this;
    const key = `${name}/${arm}`;
    const { rows: done, points: known } = predicted.get(key) ?? { rows: 0, points: [] };
    const points = [...known];
    if (done === rows.length) return points;
    const model = modelOf(inputs.config, this.trained[ARMS.indexOf(arm)]?.weights ?? new Map());
    try {
      for (let first = done; first < rows.length; first += config.batch_size) {
        const group = rows.slice(first, first + config.batch_size);
        const scored = this.score(arm, model, group, config.thought_length, `${name} ${first}`);
        points.push(...scored.map((point) => ({ ...point, row: point.row + first })));
        predicted.set(key, { rows: first + group.length, points });
        progress((first + group.length) / rows.length);
        if (context.isSafePointDue()) await context.safePoint(() => this.snapshot(null));
      }
    } finally {
      model.dispose();
    }
    return points;
  }

  private score(
    arm: Arm,
    model: ThinkingModel,
    rows: readonly ScoredRow[],
    thoughtLength: number,
    name: string,
  ): ThinkingPoint[] {
    return scoreThinking(model, rows, {
      kind: arm,
      thoughtLength,
      temperature: 0,
      batchSize: this.config.micro_batch * this.config.thoughts,
      rng: this.rng.stream(name),
      checkCancelled: () => this.context.throwIfAborted(),
    });
  }

  private snapshot(thinker: Thinker | null): FileSet {
    return encodeThinking(
      this.inputs.identity,
      { arm: this.arm, step: this.step, points: this.points, predicted: this.predicted },
      thinker?.state() ?? null,
      this.trained.map(({ blob }) => blob),
    );
  }
}
