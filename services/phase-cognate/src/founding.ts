import {
  byteTokenizer,
  corpusFromBytes,
  type DisjointSplits,
  encodeModelFiles,
  evaluate,
  type ModelConfig,
  readTokenizer,
  splitDisjoint,
  TOKENIZER_CONFIG_FILE,
  TOKENIZER_FILE,
  type Tokenizer,
  type TokenStream,
  trainBpe,
} from '@agentforge/model';
import type { FileSet, PhaseContext, StoredBlob } from '@agentforge/phase-runtime/worker';
import { Philox } from '@agentforge/tensor';
import { type BaseModel, readBaseModel } from './base-model.js';
import { type CognateConfig, modelConfigOf, totalSteps } from './domain/cognate-config.js';
import { CurveRecorder } from './domain/curves.js';
import type { Founder, SplitLoss, SplitLosses } from './domain/founder.js';
import { type FounderPlan, planFounders } from './domain/founder-plan.js';
import { encodeData, type FoundingData, founderRows, sharedRows } from './domain/founding-data.js';
import { Learner, type LearnerState } from './domain/learner.js';
import type { RowSchedule } from './domain/row-schedule.js';
import { decodeFounding, encodeFounding, encodeLearner, type LearnerBlobs } from './founding-checkpoint.js';

/** What the founding delivers. */
export interface Founded {
  readonly shape: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly data: FoundingData;
  readonly checked: DisjointSplits;
  /** The models by name, in the order of the configuration. */
  readonly founders: ReadonlyMap<string, Founder>;
  readonly recorder: CurveRecorder;
}

/** Name under which the curves of the shared steps appear. */
const SHARED = 'shared';

/**
 * Trains the founding models: one initialisation, the shared steps, then each model from there on its own mix.
 * At any moment the state is (model in training, step, tensors, cursor, curves, its losses, finished models): all of it goes into a
 * checkpoint, and nothing else has an influence on what comes out.
 */
export class Founding {
  private readonly config: CognateConfig;
  private readonly rng: Philox;
  private shape: ModelConfig;
  private base: BaseModel | null = null;
  private readonly plans: readonly FounderPlan[];
  private recorder: CurveRecorder;
  private finished = new Map<string, Founder>();
  private shared: { state: LearnerState; files: LearnerBlobs } | null = null;
  private tokenizerFiles: ReadonlyMap<string, Uint8Array> = new Map();
  private corpusDigest = '';
  private founder = -1;
  private step = 0;
  private evaluated: Readonly<Record<string, SplitLoss>> = {};

  constructor(private readonly context: PhaseContext<CognateConfig>) {
    this.config = context.config;
    this.rng = new Philox(context.seed).stream('cognate');
    this.shape = modelConfigOf(this.config);
    this.plans = planFounders(this.config);
    this.recorder = new CurveRecorder(this.config.steps);
  }

  /** Does the work, from the last checkpoint where there is one. */
  async run(): Promise<Founded> {
    this.base = await readBaseModel(this.context);
    if (this.base) this.shape = this.base.config;
    const checked = await this.readCorpus();
    const restored = await this.context.restore(async (checkpoint) => {
      const saved = await decodeFounding(checkpoint, this.config.shared_steps);
      if (saved.corpusDigest !== this.corpusDigest) throw new Error('it was made from another corpus');
      return saved;
    });
    const tokenizer = restored ? tokenizerFrom(restored.tokenizer) : this.trainTokenizer(checked);
    this.tokenizerFiles = tokenizer.files();
    const data = encodeData(checked.splits, tokenizer, this.config, this.plans, this.rng);
    if (restored) {
      const { founder, step, points, evaluated, shared, finished } = restored;
      Object.assign(this, { founder, step, evaluated, shared, finished: new Map(finished) });
      this.recorder = new CurveRecorder(this.config.steps, points);
    }
    let saved = restored?.learner;
    for (; this.founder < this.plans.length; this.founder++) {
      await this.train(data, tokenizer, saved);
      saved = undefined;
    }
    return { shape: this.shape, tokenizer, data, checked, founders: this.finished, recorder: this.recorder };
  }

  private async readCorpus(): Promise<DisjointSplits> {
    const { context } = this;
    context.progress(0, 'reading the corpus');
    const files = await Promise.all(
      context.inputs('corpus').map(async ({ ref, bytes }, i) => {
        const extension = ref.mediaType.includes('jsonl') ? 'jsonl' : 'txt';
        return { name: `corpus-${i}.${extension}`, bytes: await bytes() };
      }),
    );
    const corpus = corpusFromBytes(files, { checkCancelled: () => context.throwIfAborted() });
    this.corpusDigest = corpus.digest;
    return splitDisjoint(corpus);
  }

  private trainTokenizer({ splits }: DisjointSplits): Tokenizer {
    const { config, context } = this;
    if (this.base) return this.base.tokenizer;
    if (config.tokenizer === 'byte') return byteTokenizer();
    context.progress(0, 'training the tokenizer');
    return trainBpe(splits.train.documents, {
      vocabSize: this.shape.vocabSize,
      checkCancelled: () => context.throwIfAborted(),
    });
  }

  /** Trains the shared steps (founder -1) or one model to its end. */
  private async train(
    data: FoundingData,
    tokenizer: Tokenizer,
    saved: LearnerState | undefined,
  ): Promise<void> {
    const plan = this.plans[this.founder];
    const { config } = this;
    const rows = plan ? founderRows(data, plan, config, this.rng) : sharedRows(data, config, this.rng);
    const learner = this.learner(rows, saved, plan);
    const end = plan ? config.steps : config.shared_steps;
    if (!saved) this.step = plan ? config.shared_steps : 0;
    try {
      while (this.step < end) await this.trainStep(learner, data, plan?.name ?? SHARED, end);
      if (plan) await this.finish(plan, learner, tokenizer, data);
      else await this.share(learner);
    } finally {
      learner.dispose();
    }
  }

  private learner(
    rows: RowSchedule,
    saved: LearnerState | undefined,
    plan: FounderPlan | undefined,
  ): Learner {
    const { config, shape } = this;
    if (saved) return Learner.restore(shape, saved, rows, config);
    if (this.shared && plan) {
      const { surprise_weight } = plan.specialisation;
      return Learner.fork(shape, this.shared.state, rows, config, surprise_weight);
    }
    return Learner.begin(shape, rows, config, this.base?.weights ?? this.rng);
  }

  private async trainStep(learner: Learner, data: FoundingData, subject: string, end: number): Promise<void> {
    const { config, context } = this;
    const loss = learner.step(this.step);
    this.step += 1;
    const points = [this.recorder.train(subject, this.step, loss)];
    if (this.step % config.eval_interval === 0 || this.step === end) {
      const { lossNats } = this.evaluate(learner, data.fitness, config.eval_tokens);
      points.push(this.recorder.fitness(subject, this.step, lossNats));
    }
    context.progress(this.fraction(), `training ${subject}`, points);
    if (context.isSafePointDue()) await context.safePoint(() => this.snapshot(learner));
  }

  /** Keeps the state after the shared steps: in memory to fork from, in the store for checkpoints. */
  private async share(learner: Learner): Promise<void> {
    const state = learner.state();
    const files = new Map<string, StoredBlob>();
    for (const [path, bytes] of encodeLearner('shared', state))
      files.set(path, await this.context.store(bytes));
    this.shared = { state, files };
  }

  private async finish(plan: FounderPlan, learner: Learner, tokenizer: Tokenizer, data: FoundingData) {
    this.context.progress(this.fraction(), `evaluating ${plan.name}`);
    const { halt_threshold } = plan.specialisation;
    // Once: where something is evaluated already, the weights are those of a checkpoint from behind this line.
    if (halt_threshold !== undefined && Object.keys(this.evaluated).length === 0)
      learner.moveHaltThreshold(halt_threshold);
    const losses = {
      train: await this.evaluateOnce(learner, 'train', data.train, data.report.tokens.length),
      fitness: await this.evaluateOnce(learner, 'fitness', data.fitness),
      report: await this.evaluateOnce(learner, 'report', data.report),
    };
    this.evaluated = {};
    const files = new Map<string, StoredBlob>();
    for (const [path, bytes] of encodeModelFiles(learner.model, tokenizer)) {
      files.set(path, await this.context.store(bytes));
    }
    this.finished.set(plan.name, { files, losses, weights: learner.model.exportWeights() });
  }

  /** The loss of a trained model on a split, with a safe point behind it; what the checkpoint holds is not measured again. */
  private async evaluateOnce(
    learner: Learner,
    split: keyof SplitLosses,
    stream: TokenStream,
    maxTokens?: number,
  ): Promise<SplitLoss> {
    const { context } = this;
    const loss = this.evaluated[split] ?? this.evaluate(learner, stream, maxTokens);
    if (!this.evaluated[split]) {
      this.evaluated = { ...this.evaluated, [split]: loss };
      if (context.isSafePointDue()) await context.safePoint(() => this.snapshot(learner));
    }
    return loss;
  }

  private evaluate(learner: Learner, stream: TokenStream, maxTokens = stream.tokens.length): SplitLoss {
    const { lossNats, bitsPerByte, ponder } = evaluate(learner.model, stream, {
      length: this.config.sequence_length,
      maxTokens,
      batchSize: this.config.batch_size,
      checkCancelled: () => this.context.throwIfAborted(),
    });
    if (ponder === null) return { lossNats, bitsPerByte };
    return { lossNats, bitsPerByte, ponderSteps: ponder.meanSteps, haltedShare: ponder.haltedShare };
  }

  private snapshot(learner: Learner): FileSet {
    const position = {
      corpusDigest: this.corpusDigest,
      founder: this.founder,
      step: this.step,
      points: this.recorder.saved(),
      evaluated: this.evaluated,
    };
    return encodeFounding(position, learner.state(), {
      shared: this.shared?.files ?? new Map(),
      tokenizer: this.tokenizerFiles,
      finished: this.finished,
    });
  }

  /** Share of all optimizer steps; evaluating at the end takes the last hundredth. */
  private fraction(): number {
    const { shared_steps, steps } = this.config;
    const before = this.founder < 0 ? 0 : shared_steps + this.founder * (steps - shared_steps) - shared_steps;
    return (0.99 * (before + this.step)) / totalSteps(this.config);
  }
}

/** The tokenizer of a checkpoint. */
function tokenizerFrom(files: ReadonlyMap<string, Uint8Array>): Tokenizer {
  return readTokenizer(files.get(TOKENIZER_FILE) ?? new Uint8Array(), files.get(TOKENIZER_CONFIG_FILE));
}
