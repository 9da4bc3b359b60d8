import { setTimeout as sleep } from 'node:timers/promises';
import { RunEventBatchSchema, RunState } from '@agentforge/contracts';
import { create, toBinary } from '@bufbuild/protobuf';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { type Events, followRun, type RunRecord } from '../src/index.js';
import { connectForTest, type NatsServer, startNatsServer } from '../src/testing/index.js';
import { created, event } from './histories.js';

describe('a damaged run log', () => {
  let nats: NatsServer;
  let events: Events;
  let raw: NatsConnection;

  beforeAll(async () => {
    nats = await startNatsServer();
    events = await connectForTest(nats.url);
    raw = await connect({ servers: nats.url });
  });

  afterAll(async () => {
    await raw.close();
    await events.close();
    await nats.stop();
  });

  const publish = async (subject: string, data: Uint8Array): Promise<void> => {
    await raw.request(subject, data);
  };
  const paused = event({ case: 'runPaused', value: {} });
  const resumed = event({ case: 'runResumed', value: {} });

  it('says in each batch which one it follows', async () => {
    const run = 'projects/test/runs/links';
    const first = await events.runs.append(run, [created({ one: [] })], 0n);
    await events.runs.append(run, [paused], first);
    expect((await events.runs.read(run)).map(({ previousRevision }) => previousRevision)).toEqual([
      0n,
      first,
    ]);
  });

  it('puts a run into quarantine as it was before an unreadable batch, also when sound ones follow', async () => {
    const run = 'projects/test/runs/broken';
    const first = await events.runs.append(run, [created({ one: [] })], 0n);
    await publish('forge.runs.test.broken', Buffer.from([0xff, 0xff, 0xff]));
    const second = await events.runs.revisionOf(run);
    await events.runs.append(run, [paused], second);
    const batches = await events.runs.read(run);
    expect(batches).toHaveLength(2);
    expect(batches[1]?.problem).toMatchObject({ code: 'DATA_LOSS', reason: 'EVENT_LOG_CORRUPT' });
    const state = await events.runs.load(run);
    expect(state).toMatchObject({ state: RunState.PENDING, revision: first });
    expect(state?.quarantine).toMatchObject({ code: 'DATA_LOSS', reason: 'EVENT_LOG_CORRUPT' });
  });

  it('shows a run whose very first batch is unreadable', async () => {
    await publish('forge.runs.test.headless', Buffer.from('not an event'));
    const state = await events.runs.load('projects/test/runs/headless');
    expect(state?.quarantine?.reason).toBe('EVENT_LOG_CORRUPT');
    expect(state?.steps.length).toBe(0);
  });

  it('notices a batch that is gone', async () => {
    const run = 'projects/test/runs/gap';
    const first = await events.runs.append(run, [created({ one: [] })], 0n);
    const second = await events.runs.append(run, [paused], first);
    await events.runs.append(run, [resumed], second);
    const answer = await raw.request(
      '$JS.API.STREAM.MSG.DELETE.FORGE_RUNS',
      JSON.stringify({ seq: Number(second), no_erase: true }),
    );
    expect(answer.json<{ success: boolean }>().success).toBe(true);
    const state = await events.runs.load(run);
    expect(state?.revision).toBe(first);
    expect(state?.quarantine).toMatchObject({ code: 'DATA_LOSS', reason: 'EVENT_LOG_GAP' });
  });

  it('does not fold what a newer version wrote, and does not call it a dead letter', async () => {
    const run = 'projects/test/runs/newer';
    const first = await events.runs.append(run, [created({ one: [] })], 0n);
    const batch = create(RunEventBatchSchema, {
      run,
      events: [paused],
      version: 99,
      previousRevision: first,
    });
    await publish('forge.runs.test.newer', toBinary(RunEventBatchSchema, batch));
    const state = await events.runs.load(run);
    expect(state?.quarantine?.message).toContain('upgrade');
    await followAll();
    expect((await events.deadLetters.list({ origin: 'runs' })).map(({ subject }) => subject)).not.toContain(
      'forge.runs.test.newer',
    );
  });

  it('makes one dead letter of an unreadable batch, however often and by whom the log is read', async () => {
    await publish('forge.runs.test.once', Buffer.from([0xff]));
    const other = await connectForTest(nats.url);
    // The server drops a repeated letter for two minutes by itself; that is not what is looked for.
    const stream = 'FORGE_DEAD_LETTERS';
    const info = await raw.request(`$JS.API.STREAM.INFO.${stream}`);
    const { config } = info.json<{ config: object }>();
    const update = JSON.stringify({ ...config, duplicate_window: 100e6 });
    await raw.request(`$JS.API.STREAM.UPDATE.${stream}`, update);
    for (const reader of [events, events, other]) {
      await followAll(reader);
      await sleep(250);
    }
    await other.close();
    const letters = await events.deadLetters.list({ origin: 'runs' });
    expect(letters.filter(({ subject }) => subject === 'forge.runs.test.once')).toHaveLength(1);
  });

  const followAll = async (reader = events): Promise<Map<string, RunRecord>> => {
    const end = new AbortController();
    const states = new Map<string, RunRecord>();
    for await (const batch of reader.runs.tail({ signal: end.signal, onCaughtUp: () => end.abort() }))
      states.set(batch.run, followRun(states.get(batch.run), batch));
    return states;
  };

  it('gives whoever follows all runs the same as whoever loads one', async () => {
    const states = await followAll();
    for (const name of ['links', 'broken', 'headless', 'gap', 'newer', 'once']) {
      const run = `projects/test/runs/${name}`;
      expect(states.get(run)).toEqual(await events.runs.load(run));
    }
  });
});
