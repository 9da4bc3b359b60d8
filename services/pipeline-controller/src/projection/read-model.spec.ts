import { RunEventSchema, RunState } from '@agentforge/contracts';
import { attemptIdOf, type RunBatch, type RunEventInit, type RunRange } from '@agentforge/events';
import { createLogger } from '@agentforge/telemetry';
import { create } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { RunHistory } from '../ports/run-history.port.js';
import { Snapshots } from '../ports/snapshots.port.js';
import { UploadLog } from '../ports/upload-log.port.js';
import { ReadModel } from './read-model.js';

const RUN = 'projects/p/runs/r';
const DIGEST = `sha256:${'a'.repeat(64)}`;

/** A log that has everything, and sends less than that. */
class LossyHistory extends RunHistory {
  reads = 0;

  constructor(
    private readonly log: readonly RunBatch[],
    private readonly sent: readonly RunBatch[],
  ) {
    super();
  }

  async *tail({ onCaughtUp }: { readonly onCaughtUp: () => void }) {
    yield* this.sent;
    onCaughtUp();
  }

  async *batches(run: string, { untilRevision = 0n }: RunRange) {
    this.reads++;
    yield* this.log.filter((batch) => batch.run === run && batch.revision <= untilRevision);
  }

  override tailRun(): never {
    throw new Error('not used here');
  }

  override load(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  override progress(): never {
    throw new Error('not used here');
  }
}

class NoUploads extends UploadLog {
  override put(): Promise<void> {
    return Promise.resolve();
  }

  override async *watch({ onCaughtUp }: { readonly onCaughtUp: () => void }) {
    onCaughtUp();
    yield* [];
  }
}

class NoSnapshots extends Snapshots {
  override load(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  override async *entries() {
    yield* [];
  }

  override save(): never {
    throw new Error('full');
  }
}

const attemptId = attemptIdOf(RUN, 'a', 1);
const artifact = { digest: DIGEST, type: 'report', name: 'made', sizeBytes: 7n };
const result = { outcome: 'done', outputs: [{ port: 'report', artifacts: [artifact] }] };
/** Batches of a run from its creation to its end; the artifact comes with the third. */
const STORY: NonNullable<RunEventInit['payload']>[][] = [
  [
    { case: 'runCreated', value: { graph: { steps: [{ id: 'a', phase: 'noop' }] } } },
    { case: 'stepReady', value: { stepId: 'a' } },
  ],
  [
    { case: 'stepScheduled', value: { stepId: 'a', attemptId, number: 1, fencingToken: 1n } },
    { case: 'stepStarted', value: { stepId: 'a', attemptId, worker: 'w' } },
  ],
  [
    { case: 'stepReported', value: { stepId: 'a', attemptId, result } },
    { case: 'stepCompleted', value: { stepId: 'a' } },
  ],
  [{ case: 'runCompleted', value: {} }],
];
const LOG = STORY.map(
  (payloads, i): RunBatch => ({
    run: RUN,
    revision: BigInt(i + 1),
    previousRevision: BigInt(i),
    time: new Date(1_000 + i),
    events: payloads.map((payload) => create(RunEventSchema, { time: timestampNow(), payload })),
  }),
);

const followed = async (log: readonly RunBatch[], missing: readonly number[]) => {
  const history = new LossyHistory(
    log,
    LOG.filter((_, i) => !missing.includes(i)),
  );
  const logger = createLogger({ service: 'test', level: 'silent' });
  const model = new ReadModel(history, new NoUploads(), new NoSnapshots(), logger, 60_000);
  await model.start();
  await model.stop();
  return { model, history };
};

describe('ReadModel', () => {
  it.each([[[]], [[0]], [[1]], [[2]], [[0, 1, 2]]])(
    'comes to what the log says when batches %j of it were not sent',
    async (missing) => {
      const { model, history } = await followed(LOG, missing);
      expect(model.runs.standing(RUN)).toEqual({
        state: RunState.COMPLETED,
        revision: 4n,
        hasEnded: true,
        quarantine: undefined,
      });
      expect(model.artifacts.ofRun(RUN).map(({ ref }) => ref)).toMatchObject([artifact]);
      expect(model.lineage.makersOf(DIGEST)).toHaveLength(1);
      expect(model.artifacts.bytes.of('p')).toBe(7);
      expect(history.reads).toBe(missing.length === 0 ? 0 : 1);
    },
  );

  it('shows the run as it was before, once it has looked, when the log lacks the batch too', async () => {
    const { model, history } = await followed(
      LOG.filter((_, i) => i !== 1),
      [1],
    );
    expect(model.runs.standing(RUN)).toMatchObject({
      state: RunState.PENDING,
      revision: 1n,
      quarantine: { code: 'DATA_LOSS' },
    });
    expect(model.artifacts.ofRun(RUN)).toEqual([]);
    expect(history.reads).toBe(1);
  });
});
