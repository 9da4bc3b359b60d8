import { setTimeout as sleep } from 'node:timers/promises';
import { RunState } from '@agentforge/contracts';
import { forgetMessageIds, publishRaw } from '@agentforge/events/testing';
import { OPEN_RUNS_VERSION } from '../src/engine/open-runs.js';
import { chain, step } from './bench.js';
import { FakeWorker, obedient } from './fake-worker.js';
import { Fixture } from './fixture.js';

describe('a run whose log is damaged', () => {
  let fixture: Fixture;

  beforeAll(async () => {
    fixture = await Fixture.start();
  }, 60_000);
  afterAll(() => fixture.stop(), 60_000);

  it('is in quarantine: nothing is decided about it, here and after a restart, and others go on', async () => {
    const first = await fixture.orchestrator();
    const client = fixture.client(first);
    const name = fixture.newRun();
    await client.startExecution({ name, graph: chain });
    const { revision } = (await client.getExecution({ name })).run ?? {};
    const subject = `forge.runs.p.${name.split('/').at(-1)}`;
    await publishRaw(fixture.nats.url, { subject, data: Buffer.from([0xff, 0xff]) });
    const check = async (from: typeof client): Promise<void> => {
      const { run } = await from.getExecution({ name });
      expect(run).toMatchObject({ revision, state: RunState.RUNNING, quarantine: { code: 'DATA_LOSS' } });
      await expect(from.cancelExecution({ name })).rejects.toMatchObject({
        code: 'DATA_LOSS',
        reason: 'RUN_QUARANTINED',
      });
    };
    while (!(await client.getExecution({ name })).run?.quarantine) await sleep(20);
    await check(client);
    await first.drain('gone');
    const again = fixture.client(await fixture.orchestrator());
    await check(again);
    await fixture.worker(obedient);
    const other = fixture.newRun();
    await again.startExecution({ name: other, graph: chain });
    await fixture.untilState(other, RunState.COMPLETED);
    expect(await fixture.history(name)).toEqual(['runCreated', 'stepReady', 'stepScheduled']);
  }, 60_000);
});

describe('orchestrators', () => {
  let fixture: Fixture;

  beforeAll(async () => {
    fixture = await Fixture.start();
  }, 60_000);
  afterEach(() => fixture.dismissWorkers());
  afterAll(() => fixture.stop(), 60_000);

  it('in several replicas work on the same runs and every transition commits once', async () => {
    const [one, two] = await Promise.all([fixture.orchestrator(), fixture.orchestrator()]);
    const clients = [fixture.client(one), fixture.client(two)];
    await fixture.worker(obedient);
    const steps = Array.from({ length: 20 }, (_, i) =>
      step(`s${i}`, { after: i % 5 === 0 ? [] : [`s${i - 1}`] }),
    );
    const names = Array.from({ length: 6 }, () => fixture.newRun());
    await Promise.all(names.map((name, i) => clients[i % 2]?.startExecution({ name, graph: { steps } })));
    for (const name of names) {
      await fixture.untilState(name, RunState.COMPLETED);
      const history = await fixture.history(name);
      for (const event of ['stepScheduled', 'stepCompleted'])
        expect(history.filter((one) => one === event)).toHaveLength(20);
    }
  }, 60_000);

  it('take over what another one leaves behind', async () => {
    const [first, second] = await Promise.all([fixture.orchestrator(), fixture.orchestrator()]);
    const name = fixture.newRun();
    await fixture.client(first).startExecution({ name, graph: chain });
    await first.drain('gone');
    await fixture.worker(obedient);
    await fixture.untilState(name, RunState.COMPLETED);
    await expect(fixture.client(second).getExecution({ name })).resolves.toMatchObject({ run: { name } });
  }, 60_000);

  it('leave a silent run to the one that drives it, and queue an attempt once however long it waits', async () => {
    const [one] = await Promise.all([fixture.orchestrator(), fixture.orchestrator()]);
    await forgetMessageIds(fixture.nats.url, 'FORGE_TASKS');
    const gate = { isOpen: false };
    const worker = await new FakeWorker(fixture.events, 'single', async (job) => {
      await job.start();
      while (job.task.stepId === 'trains' && !gate.isOpen) await sleep(20);
      await job.succeed();
    }).start('noop', 1);
    const name = fixture.newRun();
    await fixture.client(one).startExecution({ name, graph: { steps: [step('trains'), step('queues')] } });
    await fixture.until(name, (run) => run.steps[0]?.attempts[0]?.startTime !== undefined);
    // both orchestrators sweep every 50 ms, and take over what is silent for 1 s: nobody may publish it again
    await sleep(3_500);
    const [queue] = (await fixture.events.queueReadings()).filter(({ phase }) => phase === 'noop');
    expect(queue).toMatchObject({ waiting: 1, inFlight: 1 });
    gate.isOpen = true;
    await fixture.untilState(name, RunState.COMPLETED);
    await sleep(500);
    await worker.stop();
    // A busy machine may have one delivered again; what is published again would be delivered for the first time again.
    const published = worker.jobs.filter(({ delivery }) => delivery === 1);
    expect(published.map(({ task }) => task.stepId)).toEqual(['trains', 'queues']);
  }, 60_000);

  it('go on by themselves when NATS was restarted', async () => {
    await fixture.orchestrator();
    const client = fixture.client(await fixture.orchestrator());
    const gate = { isOpen: false };
    await fixture.worker(async (job) => {
      await job.start();
      while (!gate.isOpen) await sleep(20);
      await job.succeed();
    });
    const name = fixture.newRun();
    await client.startExecution({ name, graph: chain });
    await fixture.until(name, (run) => run.startTime !== undefined);
    await fixture.nats.kill('SIGKILL');
    await fixture.nats.restart();
    gate.isOpen = true;
    await fixture.untilState(name, RunState.COMPLETED);
  }, 60_000);

  it('start from a note of the runs that go on, or replay when it is of no use', async () => {
    const first = await fixture.orchestrator();
    const done = fixture.newRun();
    const worker = await fixture.worker(obedient);
    await fixture.client(first).startExecution({ name: done, graph: chain });
    await fixture.untilState(done, RunState.COMPLETED);
    await worker.stop();
    const open = fixture.newRun();
    await fixture.client(first).startExecution({ name: open, graph: chain });
    await first.drain('gone');
    const store = fixture.events.snapshots('engine', OPEN_RUNS_VERSION);
    const note = await store.load();
    expect(note?.openRuns).toContain(open);
    expect(note?.openRuns).not.toContain(done);
    expect(note?.upTo).toBe((await fixture.events.runs.extent()).lastSequence);
    // A note that claims more than the log has is not believed.
    await store.save({ upTo: 10n ** 12n, openRuns: [] }, [], note);
    await (await fixture.orchestrator()).drain('gone');
    expect((await store.load())?.openRuns).toContain(open);
    await fixture.orchestrator();
    await fixture.worker(obedient);
    await fixture.untilState(open, RunState.COMPLETED);
  }, 60_000);

  it('with nobody left, the next one to start finds every run', async () => {
    const first = await fixture.orchestrator();
    const name = fixture.newRun();
    await fixture.client(first).startExecution({ name, graph: chain });
    await fixture.worker(obedient);
    await first.drain('gone');
    await fixture.orchestrator();
    const run = await fixture.untilState(name, RunState.COMPLETED);
    expect(run.steps.map(({ attempts }) => attempts.length)).toEqual([1, 1]);
  }, 60_000);
});
