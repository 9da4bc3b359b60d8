import { FailureClass } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { createLogger } from '@agentforge/telemetry';
import fc from 'fast-check';
import { RUN, Story } from '../../test/story.js';
import { type BreakerEntries, Breakers } from './breaker.js';

const POLICY = { failures: 3, openMs: 60_000, successes: 2 };
const logger = createLogger({ service: 'test', level: 'silent' });

/** A bucket in memory: compare-and-set, and everybody who watches is told. */
class FakeEntries implements BreakerEntries {
  readonly stored = new Map<string, { value: unknown; revision: number }>();
  readonly #watchers = new Set<(entry: { phase: string; value: unknown; revision: number }) => void>();
  #revision = 0;
  failures = 0;
  writes = 0;

  async get(phase: string) {
    return this.stored.get(phase);
  }

  async put(phase: string, value: unknown, revision: number): Promise<number> {
    await Promise.resolve();
    if (this.failures-- > 0) throw new AppError('UNAVAILABLE', 'no server');
    if ((this.stored.get(phase)?.revision ?? 0) !== revision) throw new AppError('ABORTED', 'conflict');
    this.writes++;
    const entry = { value: structuredClone(value), revision: ++this.#revision };
    this.stored.set(phase, entry);
    for (const tell of this.#watchers) tell({ phase, ...entry });
    return entry.revision;
  }

  async *watch({ signal, onCaughtUp }: { signal: AbortSignal; onCaughtUp: () => void }) {
    const queue = [...this.stored].map(([phase, entry]) => ({ phase, ...entry }));
    let wake: () => void = () => undefined;
    this.#watchers.add((entry) => {
      queue.push(entry);
      wake();
    });
    signal.addEventListener('abort', () => wake());
    onCaughtUp();
    while (!signal.aborted) {
      const next = queue.shift();
      if (next) yield next;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  }
}

/** Batches of a run whose step "a" is tried for ever. */
function history(kinds: readonly ('fails' | 'works' | 'permanent' | 'released')[]) {
  const story = new Story();
  story.hasOutputs = true;
  story.begin([{ id: 'a', retry: { maxAttempts: 1_000, initialInterval: { seconds: 1n } } }]);
  const batches = kinds.map((kind, i) => {
    const before = story.log.length;
    story.wait(120_000);
    story.start('a');
    if (kind === 'works')
      story.report('a', {
        case: 'checkpointed',
        value: { checkpoint: { digest: `sha256:${String(i).padStart(64, '0')}`, type: 'checkpoint' } },
      });
    else if (kind === 'fails') story.fail('a');
    else if (kind === 'released') story.report('a', { case: 'released', value: {} });
    else story.fail('a', FailureClass.RESOURCE);
    return {
      run: RUN,
      events: story.log.slice(before),
      revision: BigInt(i + 1),
      time: new Date(0),
      pending: 0,
    };
  });
  if (!story.state) throw new Error('no run');
  return { batches, state: story.state, nowMs: story.nowMs };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('Breakers', () => {
  let open: Breakers[] = [];
  const replica = async (store: BreakerEntries, now: () => number) => {
    const breakers = new Breakers(store, POLICY, logger, now);
    await breakers.start();
    open.push(breakers);
    return breakers;
  };
  afterEach(async () => {
    await Promise.all(open.map((breakers) => breakers.stop()));
    open = [];
  });

  it('count each event once, however many replicas see it, in whatever order they do', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('fails', 'works', 'permanent', 'released'), { maxLength: 12 }),
        fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 40 }),
        async (kinds, turns) => {
          const { batches, state, nowMs } = history(kinds);
          const alone = await replica(new FakeEntries(), () => nowMs);
          for (const batch of batches) alone.observe(batch, state);
          const store = new FakeEntries();
          const replicas = await Promise.all([0, 1, 2].map(() => replica(store, () => nowMs)));
          const next = [0, 0, 0];
          const step = async (i: number) => {
            const batch = batches[next[i] ?? 0];
            if (!batch) return;
            next[i] = (next[i] ?? 0) + 1;
            replicas[i]?.observe(batch, state);
            if (i === 0) await Promise.resolve();
          };
          for (const i of turns) await step(i);
          for (const i of [0, 1, 2]) for (const _ of batches) await step(i);
          await settled();
          const known = alone.list().map(({ breaker }) => breaker);
          for (const one of replicas) expect(one.list().map(({ breaker }) => breaker)).toEqual(known);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('say nothing about failures that are no fault of workers', async () => {
    const store = new FakeEntries();
    const { batches, state, nowMs } = history([
      'permanent',
      'released',
      'permanent',
      'released',
      'permanent',
    ]);
    const breakers = await replica(store, () => nowMs);
    for (const batch of batches) breakers.observe(batch, state);
    await settled();
    expect(store.writes).toBe(0);
    expect(breakers.answerOf('noop', RUN, 'a')).toBeUndefined();
  });

  it('let one step pass over all replicas, and are known to a replica that comes later', async () => {
    const store = new FakeEntries();
    const { batches, state } = history(['fails', 'fails', 'fails']);
    let nowMs = 0;
    const [one, two] = await Promise.all([0, 1].map(() => replica(store, () => nowMs)));
    if (!one || !two) throw new Error('no replicas');
    for (const batch of batches) one.observe(batch, state);
    await settled();
    const [entry] = two.list();
    nowMs = entry?.breaker.openedMs ?? 0;
    expect(two.answerOf('noop', RUN, 'a')).toEqual({ isOpen: true, retryMs: nowMs + 60_000 });
    nowMs += 60_000;
    expect(two.answerOf('noop', RUN, 'a')).toEqual({ isOpen: true, asksProbe: true });
    const won = await Promise.all([one.claim('noop', RUN, 'a'), two.claim('noop', RUN, 'b')]);
    expect(won.filter(Boolean)).toHaveLength(1);
    const late = await replica(store, () => nowMs);
    for (const batch of batches) late.observe(batch, state);
    await settled();
    const answers = ['a', 'b'].map((stepId) => late.answerOf('noop', RUN, stepId));
    expect(answers).toEqual(
      won.map((hasWon) => (hasWon ? { isOpen: false } : { isOpen: true, retryMs: nowMs + 60_000 })),
    );
  });

  it('lose nothing while the store is away', async () => {
    const store = new FakeEntries();
    const { batches, state, nowMs } = history(['fails', 'fails', 'fails']);
    const breakers = await replica(store, () => nowMs);
    store.failures = 1;
    for (const batch of batches) breakers.observe(batch, state);
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(breakers.list()).toMatchObject([{ phase: 'noop', state: 'open' }]);
  });
});
