import type { WorkerMessage } from '../worker/messages.js';
import { ComputeJob } from './compute-job.js';

const url = new URL('../../test/fixtures/scripted.worker.mjs', import.meta.url);

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
  const job = new ComputeJob(url, input, { abortMs, releaseMs: abortMs }, (message) =>
    messages.push(message),
  );
  return { job, messages };
}

describe('ComputeJob', () => {
  it('passes messages on and ends with the result', async () => {
    const { job, messages } = start('succeed');
    expect(await job.ended).toMatchObject({ kind: 'succeeded', result: { outcome: 'done' } });
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
      const { job } = start('poll', 60_000);
      job.stop(reason);
      expect(await job.ended).toEqual({ kind: 'stopped', reason });
    },
  );

  it('terminates a worker that does not stop', async () => {
    const { job } = start('ignore');
    await new Promise((resolve) => setTimeout(resolve, 100));
    job.stop('cancel');
    expect(await job.ended).toEqual({ kind: 'stopped', reason: 'cancel' });
  });
});
