import { StepResultSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import type { CachedStep, Events } from '../src/index.js';
import { connectForTest, type NatsServer, startNatsServer } from '../src/testing/index.js';

describe('StepCache', () => {
  let nats: NatsServer;
  let a: Events;
  let b: Events;

  beforeAll(async () => {
    nats = await startNatsServer();
    a = await connectForTest(nats.url, { name: 'a' });
    b = await connectForTest(nats.url, { name: 'b' });
  });

  afterAll(async () => {
    await a.close();
    await b.close();
    await nats.stop();
  });

  const key = (digit: string) => `sha256:${digit.repeat(64)}`;
  const stepOf = (digit: string, over: Partial<CachedStep> = {}): CachedStep => ({
    project: 'p',
    key: key(digit),
    phase: 'copy',
    facts: { config: { n: 1 } },
    result: create(StepResultSchema, {
      outcome: 'created',
      outputs: [{ port: 'text', artifacts: [{ digest: key('f'), sizeBytes: 3n }] }],
    }),
    sourceRun: 'projects/p/runs/r',
    sourceStepId: 's',
    ...over,
  });

  it('gives back what was kept, to everybody, in one project', async () => {
    await a.stepCache.put(stepOf('1'));
    expect(await b.stepCache.get('p', key('1'))).toEqual(stepOf('1'));
    expect(await b.stepCache.get('q', key('1'))).toBeUndefined();
    expect(await b.stepCache.get('p', key('2'))).toBeUndefined();
  });

  it('keeps the newest result of a key, until it is removed', async () => {
    await a.stepCache.put(stepOf('3'));
    await b.stepCache.put(stepOf('3', { sourceRun: 'projects/p/runs/later' }));
    expect((await a.stepCache.get('p', key('3')))?.sourceRun).toBe('projects/p/runs/later');
    await b.stepCache.remove('p', key('3'));
    expect(await a.stepCache.get('p', key('3'))).toBeUndefined();
  });

  it('knows the newest result of a step id, first, however many others there are', async () => {
    for (let i = 0; i < 40; i++) {
      const hex = i.toString(16).padStart(64, '0');
      await a.stepCache.put(stepOf('0', { key: `sha256:${hex}`, phase: 'many', sourceStepId: `s${i % 20}` }));
    }
    const near = await b.stepCache.neighbours('p', 'many', 's7');
    expect(near.length).toBeGreaterThan(1);
    expect(near.length).toBeLessThanOrEqual(16);
    expect(new Set(near.map((step) => step.key)).size).toBe(near.length);
    const alone = stepOf('a', { phase: 'alone', sourceStepId: 'mine' });
    await a.stepCache.put(alone);
    expect(await b.stepCache.neighbours('p', 'alone', 'mine')).toEqual([alone]);
    expect(await b.stepCache.neighbours('p', 'none', 'mine')).toEqual([]);
  });

  it('refuses names that are no keys', async () => {
    await expect(a.stepCache.get('p', 'sha256:1')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(a.stepCache.put(stepOf('1', { project: 'p.*' }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});
