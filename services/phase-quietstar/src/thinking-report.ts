import { streamBytes, type ThinkingPoint } from '@agentforge/model';
import type { PhaseContext, PhaseMetricValue } from '@agentforge/phase-runtime/worker';
import { curvesOf } from './domain/curves.js';
import type { QuietstarConfig } from './domain/quietstar-config.js';
import { accuracyOf, type Outcome, type Rivals, type ThreeTests } from './domain/verdict.js';
import type { Predictions, Thought } from './thinking.js';
import type { ThinkingInputs } from './thinking-inputs.js';

/** Subjects of the metrics. */
export const SUBJECTS = {
  /** The model that came in. */
  input: 'input',
  /** The thinking model, thinking. */
  thoughts: 'thoughts',
  /** The thinking model with its thoughts removed. */
  removed: 'thoughts-removed',
  /** The control, with pauses. */
  pause: 'pause',
} as const;

/** Loss and accuracy of the input model, on the tokens that the arms predicted. */
export interface InputScore {
  readonly lossNats: number;
  readonly accuracy: number;
}

/** What the metrics are made of. */
export interface Measurements {
  readonly thought: Thought;
  /** The input model on the same text, and on the same answers. */
  readonly input: { readonly text: InputScore; readonly answers: InputScore | null };
  readonly tests: ThreeTests;
  /** Of the model that is handed on. */
  readonly parameters: number;
}

/** The metrics of the step. */
export function thinkingMetrics(
  { thought, input, tests, parameters }: Measurements,
  { report }: ThinkingInputs,
): PhaseMetricValue[] {
  const metrics: PhaseMetricValue[] = [];
  const add = (name: string, value: number, unit: string, subject = '', split = 'report') =>
    metrics.push({ name, value, unit, split, subject });
  const tokens = thought.text.thoughts.length;
  const bytes = streamBytes(report, 1, tokens + 1);
  for (const [subject, { lossNats, accuracy }] of scoresOf(thought.text, input.text, 'token')) {
    add('loss', lossNats, 'nats/token', subject);
    add('bits_per_byte', (lossNats * tokens) / Math.LN2 / bytes, 'bit/byte', subject);
    add('accuracy', accuracy, '1', subject);
  }
  if (thought.answers && input.answers) {
    for (const [subject, { lossNats, accuracy }] of scoresOf(thought.answers, input.answers, 'row')) {
      add('answer_loss', lossNats, 'nats/token', subject);
      add('task_accuracy', accuracy, '1', subject);
    }
  }
  add('gain', tests.gain.mean, 'nats/token');
  add('gain_low', tests.gain.low, 'nats/token');
  add('gain_high', tests.gain.high, 'nats/token');
  add('ablation', tests.ablation, '1');
  if (tests.coherenceCorrelation !== null) add('coherence_correlation', tests.coherenceCorrelation, '1');
  add('parameters', parameters, '1', '', '');
  return metrics;
}

function scoresOf(
  { thoughts, pause }: Predictions,
  input: InputScore,
  unit: Rivals['unit'],
): [subject: string, score: InputScore][] {
  const score = (points: readonly ThinkingPoint[], isTalk: boolean): InputScore => ({
    lossNats: mean(points.map(({ talkNats, plainNats }) => (isTalk ? talkNats : plainNats))),
    accuracy: accuracyOf(points, unit, ({ isTalkRight, isPlainRight }) =>
      isTalk ? isTalkRight : isPlainRight,
    ),
  });
  return [
    [SUBJECTS.input, input],
    [SUBJECTS.thoughts, score(thoughts, true)],
    [SUBJECTS.removed, score(thoughts, false)],
    [SUBJECTS.pause, score(pause, true)],
  ];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The report of the phase: JSON, the same bytes for the same configuration, inputs and seed. */
export function thinkingReport(
  context: PhaseContext<QuietstarConfig>,
  inputs: ThinkingInputs,
  facts: { outcome: Outcome; metrics: readonly PhaseMetricValue[]; thought: Thought | null },
): Uint8Array {
  const { outcome, metrics, thought } = facts;
  const contents = {
    phase: 'quietstar',
    outcome,
    seed: String(context.seed),
    config: context.config,
    model: inputs.config,
    input: { name: inputs.artifact.name, digest: inputs.artifact.ref.digest },
    data: {
      splits: Object.fromEntries(
        (['train', 'fitness', 'report'] as const).map((name) => [
          name,
          { bytes: inputs.corpus.splits[name].sizeBytes, tokens: inputs[name].tokens.length },
        ]),
      ),
      judged_by: inputs.tasks
        ? { data: 'tasks', tasks: inputs.tasks.length, tokens: thought?.answers?.thoughts.length ?? 0 }
        : { data: 'report split', tokens: thought?.text.thoughts.length ?? 0 },
      tasks_left_out: inputs.knownTasks,
      held_out_bytes_removed: inputs.corpus.removedBytes,
      held_out_13gram_overlap: inputs.corpus.overlap,
    },
    metrics,
    curves: curvesOf(thought?.points ?? []),
  };
  return new TextEncoder().encode(`${JSON.stringify(contents, null, 1)}\n`);
}
