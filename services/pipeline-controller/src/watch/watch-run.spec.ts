import {
  RunEventSchema,
  RunState,
  type StepProgress,
  StepProgressSchema,
  WatchRunResponseSchema,
} from '@agentforge/contracts';
import {
  CorruptEventLogError,
  type RunBatch,
  type RunRange,
  type RunRecord,
  toRun,
} from '@agentforge/events';
import { EncodedReply } from '@agentforge/service-kit';
import { create, fromBinary } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { type ProgressStream, RunHistory } from '../ports/run-history.port.js';
import { RunIndex } from '../projection/run-index.js';
import { MAX_WAITING_BYTES, RunFeeds } from './run-feeds.js';
import { watchRun as watchEncoded } from './watch-run.js';

const NAME = 'projects/p/runs/r';

/** What a watcher reads: what is encoded already is taken apart again. */
async function* watchRun(...args: Parameters<typeof watchEncoded>) {
  for await (const update of watchEncoded(...args))
    yield update instanceof EncodedReply ? fromBinary(WatchRunResponseSchema, update.bytes) : update;
}

/** A history in memory; batches and progress are given by hand. Waits for more until the signal aborts. */
class FakeHistory extends RunHistory {
  opened = 0;
  closed = 0;
  #waiting = new Set<() => void>();

  constructor(
    readonly stored: RunBatch[],
    private readonly points: readonly StepProgress[] = [],
  ) {
    super();
  }

  add(batch: RunBatch): void {
    this.stored.push(batch);
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  async *tail(): AsyncGenerator<RunBatch> {
    yield* this.stored;
  }

  async *batches(
    _: string,
    { afterRevision = 0n, untilRevision = 2n ** 62n }: RunRange,
  ): AsyncGenerator<RunBatch> {
    for (const batch of this.stored)
      if (batch.revision > afterRevision && batch.revision <= untilRevision) yield batch;
  }

  async *tailRun(
    _: string,
    { afterRevision, signal }: { readonly afterRevision: bigint; readonly signal: AbortSignal },
  ): AsyncGenerator<RunBatch> {
    this.opened++;
    for (let at = 0; !signal.aborted; ) {
      const batch = this.stored[at];
      if (batch === undefined)
        await Promise.race([aborted(signal), new Promise<void>((resolve) => this.#waiting.add(resolve))]);
      else {
        at++;
        if (batch.revision > afterRevision) yield batch;
      }
    }
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
    const sources = { history, feeds: new RunFeeds(history), index, show: toRun };
    return { updates: watchRun(request, sources), reader, service, sources, request };
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

  it('ends with DATA_LOSS when the log of the run cannot be read any further', async () => {
    const history = new FakeHistory([created, paused]);
    const { updates } = watch(history);
    await updates.next();
    await updates.next();
    const problem = new CorruptEventLogError(NAME, 3n, new Error('cut'));
    history.add({ run: NAME, revision: 3n, events: [], time: new Date(), problem });
    await expect(updates.next()).rejects.toMatchObject({ code: 'DATA_LOSS' });
  });

  it('reads the log once for a hundred watchers, holds little for one that never reads, and loses nothing', async () => {
    const history = new FakeHistory([created, paused]);
    const { sources, request } = watch(history);
    const { feeds, index } = sources;
    const count = 300;
    const sizeBytes = 5_000;
    const last = BigInt(count + 3);
    const record = index.record(NAME);
    if (!record) throw new Error('not indexed');
    const own = { ...request, record };
    const seen = Array.from({ length: 99 }, () => 0);
    let gaps = 0;
    const revisionsOf = async (updates: ReturnType<typeof watchRun>, i: number): Promise<void> => {
      let before = 2n;
      for await (const { update, revision = 0n } of updates) {
        if (update?.case !== 'event') continue;
        if (revision - before > 1n) gaps++;
        before = revision;
        seen[i] = (seen[i] ?? 0) + 1;
      }
    };
    const sleeper = watchRun(own, sources);
    await sleeper.next();
    const waiting = sleeper.next();
    const watchers = seen.map((_, i) => revisionsOf(watchRun(own, sources), i));
    await turns();
    expect(history.opened).toBe(1);
    const probe = feeds.follow(NAME, 2n, () => undefined);
    for (let i = 3; i <= count + 2; i++) {
      const next = batch(BigInt(i), { payload: { case: i % 2 ? 'runResumed' : 'runPaused', value: {} } });
      const sized = { ...next, sizeBytes };
      index.apply(sized);
      history.add(sized);
      if (i % 100 === 0) await turns();
      expect(probe.waitingBytes).toBeLessThanOrEqual(MAX_WAITING_BYTES);
    }
    await turns();
    expect(probe.isLost).toBe(true);
    expect(probe.waitingBytes).toBe(0);
    probe.leave();
    const cancelled = { payload: { case: 'runCancelRequested' as const, value: {} } };
    const stepCancelled = { payload: { case: 'stepCancelled' as const, value: { stepId: 'a' } } };
    const ended = { payload: { case: 'runCancelled' as const, value: {} } };
    const end = batch(last, cancelled);
    const all = [cancelled, stepCancelled, ended].flatMap((one) => batch(last, one).events);
    index.apply({ ...end, events: all });
    history.add({ ...end, events: all });
    expect(index.standing(NAME)?.state).toBe(RunState.CANCELLED);
    await Promise.all(watchers);
    expect(seen).toEqual(seen.map(() => count + 3));
    // The one that slept takes everything up after all: from the log, without a gap.
    let before = (await waiting).value?.revision ?? 0n;
    expect(before).toBe(3n);
    for await (const { revision = 0n } of sleeper) {
      if (revision - before > 1n) gaps++;
      before = revision;
    }
    expect(before).toBe(last);
    expect(gaps).toBe(0);
    expect(feeds.size).toBe(0);
  }, 120_000);
});

/** Lets everything that can go on do so. */
const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};
