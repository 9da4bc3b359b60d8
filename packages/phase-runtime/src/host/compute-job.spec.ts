import type { WorkerMessage } from '../worker/messages.js';
import { ComputeJob } from './compute-job.js';
import { ThreadPool } from './thread-pool.js';

const url = new URL('../../test/fixtures/scripted.worker.mjs', import.meta.url);

let threads: ThreadPool;

beforeEach(() => {
  threads = new ThreadPool(url, 'scripted', { size: 1, tasksPerThread: 3 });
});
afterEach(() => threads.close());

function start(mode: string, abortMs = 200) {
  const messages: WorkerMessage[] = [];
  const input = {
    phase: 'scripted',
    version: '1',
    config: { mode },
    seed: 1n,
    fallback: '',
    inputs: [],
    checkpoint: undefined,
    checkpointSequence: 0,
    checkpointIntervalMs: 1000,
    artifactDirectory: '',
    device: 'cpu' as const,
    threads: 1,
  };
  const job = new ComputeJob(threads, input, { abortMs, releaseMs: abortMs }, (message) =>
    messages.push(message),
  );
  return { job, messages };
}

/** Resolves once the work has said anything. */
async function begun(messages: readonly WorkerMessage[]): Promise<void> {
  while (messages.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('ComputeJob', () => {
  it('passes messages on and ends with the result', async () => {
    const { job, messages } = start('succeed');
    expect(await job.ended).toMatchObject({
      kind: 'succeeded',
      result: { outcome: expect.stringMatching(/#1$/) },
    });
    expect(messages).toMatchObject([{ kind: 'progress', fraction: 0.5 }]);
  });

  it.each([
    ['exit', /exit code 3/],
    ['throw', /broken/],
  ])(
    'reports a worker that ends without a word (%s) as a crash that may be tried again',
    async (mode, text) => {
      const end = await start(mode).job.ended;
      expect(end).toMatchObject({ kind: 'failed', error: { code: 'UNAVAILABLE', reason: 'WORKER_CRASHED' } });
      expect(end.kind === 'failed' && end.error.message).toMatch(text);
    },
  );

  it.each(['cancel', 'release', 'abandon'] as const)(
    'lets a worker that polls stop by itself: %s',
    async (reason) => {
      const { job, messages } = start('poll', 60_000);
      await begun(messages);
      job.stop(reason);
      expect(await job.ended).toEqual({ kind: 'stopped', reason });
    },
  );

  it.each(['cancel', 'release', 'abandon'] as const)(
    'ends at once while the thread still loads, whatever the grace: %s',
    async (reason) => {
      threads = new ThreadPool(
        new URL('../../test/fixtures/loading.worker.mjs', import.meta.url),
        'loading',
        {
          size: 1,
          tasksPerThread: 3,
        },
      );
      const { job } = start('succeed', 60_000);
      job.stop(reason);
      expect(await job.ended).toEqual({ kind: 'stopped', reason });
    },
  );

  it('terminates a worker that does not stop', async () => {
    const { job, messages } = start('ignore');
    await begun(messages);
    job.stop('cancel');
    expect(await job.ended).toEqual({ kind: 'stopped', reason: 'cancel' });
  });

  it('passes on what a worker said before it died', async () => {
    const { job, messages } = start('exit');
    await job.ended;
    expect(messages).toMatchObject([{ kind: 'progress', stage: 'last words' }]);
  });
});

describe('ThreadPool', () => {
  /** Which thread did it, and its how manieth task it was. */
  const threadOf = async (mode: string) => {
    const end = await start(mode).job.ended;
    return end.kind === 'succeeded' ? end.result.outcome : end.kind;
  };

  it('gives short work to the same thread until that has done its share and its successor is loaded', async () => {
    const done = [];
    for (let i = 0; i < 4; i++) done.push(await threadOf('succeed'));
    const [first = ''] = done[0]?.split('#') ?? [];
    expect(done).toEqual([1, 2, 3, 4].map((task) => `${first}#${task}`));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(await threadOf('succeed')).toBe(`${first}#5`);
    const next = await threadOf('succeed');
    expect(next).toMatch(/#1$/);
    expect(next.split('#')[0]).not.toBe(first);
  });

  it('waits for a successor that does not load no longer than for as many tasks again', async () => {
    const done = [];
    for (let i = 0; i < 7; i++) done.push(await threadOf('succeed'));
    const [first = ''] = done[0]?.split('#') ?? [];
    expect(done.filter((one) => one.startsWith(`${first}#`)).length).toBeLessThanOrEqual(6);
  });

  it.each(['fail', 'exit', 'throw', 'succeed-slowly'])(
    'replaces a thread whose work ended with %s, and goes on',
    async (mode) => {
      const before = await threadOf('succeed');
      await threadOf(mode);
      const after = await threadOf('succeed');
      expect(after).toMatch(/#1$/);
      expect(after.split('#')[0]).not.toBe(before.split('#')[0]);
    },
  );

  it('hurts nobody else when a thread crashes', async () => {
    threads = new ThreadPool(url, 'scripted', { size: 2, tasksPerThread: 3 });
    const neighbour = start('poll', 60_000).job;
    expect(await start('exit').job.ended).toMatchObject({ kind: 'failed' });
    neighbour.stop('release');
    expect(await neighbour.ended).toEqual({ kind: 'stopped', reason: 'release' });
  });

  it('lets nobody hear what earlier work still says', async () => {
    await start('say-late').job.ended;
    const { job, messages } = start('poll', 60_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    job.stop('cancel');
    await job.ended;
    expect(messages.filter(({ kind }) => kind === 'log')).toEqual([]);
  });

  it('keeps threads ready, never more than its size, and none after its end', async () => {
    threads.fill();
    threads.fill();
    expect(threads.counts).toEqual({ waiting: 1, working: 0 });
    const { job } = start('poll', 60_000);
    expect(threads.counts).toEqual({ waiting: 0, working: 1 });
    await threads.close();
    job.stop('cancel');
    await job.ended;
    expect(threads.counts).toEqual({ waiting: 0, working: 0 });
  });

  it('does not start threads over and over that cannot start', async () => {
    threads = new ThreadPool(new URL('./no-such-worker.mjs', import.meta.url), 'missing', {
      size: 1,
      tasksPerThread: 3,
    });
    threads.fill();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await threadOf('succeed')).toBe('failed');
  });
});
