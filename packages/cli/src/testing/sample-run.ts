import {
  AttemptState,
  Comparison,
  type Run,
  RunEventSchema,
  RunSchema,
  RunState,
  StepKind,
  StepState,
  type WatchRunResponse,
  WatchRunResponseSchema,
} from '@agentforge/contracts';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';

/** A time in a run of the tests, in seconds after its creation. */
export function at(seconds: number) {
  return timestampFromDate(new Date(Date.UTC(2026, 10, 21, 10, 0, 0) + seconds * 1_000));
}

/** Digest of a test artifact. */
export function digestOf(letter: string): string {
  return `sha256:${letter.repeat(64)}`;
}

/** A run of two phases that is being accepted. */
export function pendingRun(name = 'projects/default/runs/demo'): Run {
  return create(RunSchema, {
    name,
    displayName: 'demo',
    state: RunState.PENDING,
    createTime: at(0),
    revision: 1n,
    graph: { seed: 7n },
    steps: [
      { spec: { id: 'founders', kind: StepKind.PHASE, phase: 'cognate' }, state: StepState.PENDING },
      { spec: { id: 'evolve', kind: StepKind.PHASE, phase: 'evomerge' }, state: StepState.PENDING },
    ],
  });
}

/** The same run, completed. */
export function completedRun(name = 'projects/default/runs/demo'): Run {
  const metric = (metricName: string, value: number, unit: string, split: string, subject: string) => ({
    name: metricName,
    value,
    unit,
    split,
    subject,
  });
  const attempt = { id: 'a', number: 1, state: AttemptState.SUCCEEDED };
  const { $typeName: _, ...accepted } = pendingRun(name);
  return create(RunSchema, {
    ...accepted,
    state: RunState.COMPLETED,
    startTime: at(1),
    endTime: at(154),
    revision: 9n,
    steps: [
      {
        spec: { id: 'founders', kind: StepKind.PHASE, phase: 'cognate' },
        state: StepState.COMPLETED,
        attempts: [{ ...attempt, startTime: at(1), endTime: at(121) }],
        result: {
          outcome: 'created',
          outputs: [
            {
              port: 'models',
              artifacts: ['reasoning', 'memory'].map((founder, index) => ({
                digest: digestOf(String(index + 1)),
                name: `founder-${founder}`,
                type: 'model',
                sizeBytes: 8_019_432n,
                mediaType: 'application/vnd.agentforge.model.v1+json',
              })),
            },
          ],
          metrics: [
            metric('bits_per_byte', 2.41234, 'bit/byte', 'report', 'founder-reasoning'),
            metric('bits_per_byte', 2.38, 'bit/byte', 'report', 'founder-memory'),
            metric('parameters', 2_001_152, '1', '', 'founder-reasoning'),
            metric('tokens', 921_600, '1', '', ''),
          ],
          usage: { wallSeconds: 120, peakMemoryBytes: 410_000_000n, backend: 'cpu-avx512', threads: 2 },
        },
        verdicts: [
          {
            validator: 'gate/cognate/loss-margin',
            valid: true,
            blocking: true,
            details: [
              {
                name: 'margin',
                value: 1.2,
                threshold: 0.1,
                comparison: Comparison.AT_LEAST,
                unit: 'nats/token',
              },
            ],
          },
        ],
      },
      {
        spec: { id: 'evolve', kind: StepKind.PHASE, phase: 'evomerge' },
        state: StepState.COMPLETED,
        attempts: [
          { ...attempt, state: AttemptState.FAILED },
          { ...attempt, number: 2, startTime: at(122), endTime: at(153) },
        ],
        result: {
          outcome: 'improved',
          outputs: [
            {
              port: 'model',
              artifacts: [{ digest: digestOf('e'), name: 'evolved', type: 'model', sizeBytes: 8_019_432n }],
            },
          ],
          metrics: [metric('bits_per_byte', 2.35, 'bit/byte', 'report', 'evolved')],
          usage: { wallSeconds: 31.4, peakMemoryBytes: 300_000_000n, backend: 'cpu-avx512', threads: 2 },
        },
      },
    ],
  });
}

type EventPayload = NonNullable<MessageInitShape<typeof RunEventSchema>['payload']>;

/** An event as a watcher gets it. */
export function eventUpdate(seconds: number, revision: bigint, payload: EventPayload): WatchRunResponse {
  return create(WatchRunResponseSchema, {
    revision,
    update: { case: 'event', value: create(RunEventSchema, { time: at(seconds), actor: 'test', payload }) },
  });
}

/** The run itself as a watcher gets it. */
export function runUpdate(run: Run): WatchRunResponse {
  return create(WatchRunResponseSchema, { revision: run.revision, update: { case: 'run', value: run } });
}

/** Progress of a step with points of a loss curve, as a watcher gets it. */
export function progressUpdate(
  stepId: string,
  fraction: number,
  options: { stage?: string; etaSeconds?: number; loss?: [number, number][]; series?: string } = {},
): WatchRunResponse {
  const { stage = 'training founder-memory', etaSeconds, loss = [], series = 'loss' } = options;
  return create(WatchRunResponseSchema, {
    update: {
      case: 'progress',
      value: {
        stepId,
        fraction,
        stage,
        time: at(5),
        ...(etaSeconds === undefined ? {} : { eta: { seconds: BigInt(etaSeconds), nanos: 0 } }),
        points: loss.map(([step, value]) => ({
          series,
          subject: series === 'loss' ? 'founder-memory' : '',
          step: BigInt(step),
          value,
        })),
      },
    },
  });
}

/** Everything that a run tells a watcher who is there from the beginning. */
export function wholeStory(name?: string): WatchRunResponse[] {
  const started = (stepId: string, seconds: number, revision: bigint) => [
    eventUpdate(seconds, revision, { case: 'stepReady', value: { stepId } }),
    eventUpdate(seconds, revision, {
      case: 'stepScheduled',
      value: { stepId, attemptId: `${stepId}.1`, number: 1 },
    }),
    eventUpdate(seconds, revision + 1n, {
      case: 'stepStarted',
      value: { stepId, attemptId: `${stepId}.1`, worker: 'w1' },
    }),
  ];
  const ended = (stepId: string, seconds: number, revision: bigint, outcome: string) => [
    eventUpdate(seconds, revision, { case: 'stepReported', value: { stepId, result: { outcome } } }),
    eventUpdate(seconds, revision + 1n, { case: 'stepCompleted', value: { stepId } }),
  ];
  return [
    runUpdate(pendingRun(name)),
    ...started('founders', 1, 2n),
    progressUpdate('founders', 0.1, {
      etaSeconds: 108,
      loss: [
        [0, 6.9],
        [20, 4.1],
      ],
    }),
    progressUpdate('founders', 0.12, { etaSeconds: 105, loss: [[40, 3.6]] }),
    progressUpdate('founders', 0.9, { etaSeconds: 12, loss: [[400, 2.6]] }),
    ...ended('founders', 121, 4n, 'created'),
    ...started('evolve', 122, 6n),
    progressUpdate('evolve', 0.5, {
      stage: 'generation 3',
      loss: [
        [1, 0.5],
        [3, 0.61],
      ],
      series: 'fitness/best',
    }),
    ...ended('evolve', 153, 8n, 'improved'),
    eventUpdate(154, 9n, { case: 'runCompleted', value: {} }),
  ];
}
