import { RunEventSchema, type StepProgress, StepProgressSchema } from '@agentforge/contracts';
import type { RunBatch, RunRecord } from '@agentforge/events';
import { create } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { type ProgressStream, RunHistory } from './ports/run-history.port.js';
import { RunIndex } from './projection/run-index.js';
import { watchRun } from './watch.js';

const NAME = 'projects/p/runs/r';

/** A history whose batches and progress are given by hand; waits for more until the signal aborts. */
class FakeHistory extends RunHistory {
  closed = 0;

  constructor(
    private readonly batches: readonly RunBatch[],
    private readonly points: readonly StepProgress[] = [],
  ) {
    super();
  }

  async *tail(): AsyncGenerator<RunBatch> {
    yield* this.batches;
  }

  async *tailRun(
    _: string,
    { afterRevision, signal }: { readonly afterRevision: bigint; readonly signal: AbortSignal },
  ): AsyncGenerator<RunBatch> {
    yield* this.batches.filter(({ revision }) => revision > afterRevision);
    await aborted(signal);
    this.closed++;
  }

  async load(): Promise<RunRecord | undefined> {
    return undefined;
  }

  progress(_: string, signal: AbortSignal): ProgressStream {
    const { points } = this;
    return {
      close: () => undefined,
      async *[Symbol.asyncIterator]() {
        yield* points;
        await aborted(signal);
      },
    };
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

const batch = (revision: bigint, payload: Parameters<typeof create<typeof RunEventSchema>>[1]): RunBatch => ({
  run: NAME,
  revision,
  events: [create(RunEventSchema, { time: timestampNow(), ...payload })],
  time: new Date(),
  pending: 0,
});

describe('watchRun()', () => {
  const created = batch(1n, {
    payload: { case: 'runCreated', value: { graph: { steps: [{ id: 'a', phase: 'noop' }] } } },
  });
  const paused = batch(2n, { payload: { case: 'runPaused', value: {} } });

  const watch = (history: FakeHistory, over: object = {}) => {
    const index = new RunIndex();
    const record = index.apply(created);
    if (!record) throw new Error('not indexed');
    index.apply(paused);
    const reader = new AbortController();
    const service = new AbortController();
    const request = {
      record,
      afterRevision: 0n,
      includesProgress: false,
      signal: reader.signal,
      draining: service.signal,
      ...over,
    };
    return { updates: watchRun(request, history, index), reader, service };
  };

  it('ends as UNAVAILABLE with the revision to go on from when the service stops', async () => {
    const { updates, service } = watch(new FakeHistory([created, paused]));
    expect((await updates.next()).value?.update?.case).toBe('run');
    expect((await updates.next()).value?.revision).toBe(2n);
    const next = updates.next();
    service.abort();
    await expect(next).rejects.toMatchObject({ code: 'UNAVAILABLE', metadata: { revision: '2' } });
  });

  it('ends quietly when the reader goes away, and lets go of its sources', async () => {
    const history = new FakeHistory([created, paused]);
    const { updates, reader } = watch(history);
    await updates.next();
    await updates.next();
    const next = updates.next();
    reader.abort();
    expect((await next).done).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(history.closed).toBe(1);
  });

  it('gives progress between events, and events when progress has ended', async () => {
    const point = create(StepProgressSchema, { run: NAME, stepId: 'a', attemptId: 'x', fraction: 0.5 });
    const { updates, reader } = watch(new FakeHistory([created, paused], [point]), {
      includesProgress: true,
    });
    const cases: (string | undefined)[] = [];
    for await (const { update } of updates) {
      cases.push(update?.case);
      if (cases.length === 3) reader.abort();
    }
    expect(cases[0]).toBe('run');
    expect([...cases].sort()).toEqual(['event', 'progress', 'run']);
  });
});
