import { setTimeout as sleep } from 'node:timers/promises';
import { AttemptState, RunState, StepSpecSchema, StepState, WaitKind } from '@agentforge/contracts';
import { attemptIdOf, foldRun, type LedgerEntry, type RunRecord, stepOf, stepsIn } from '@agentforge/events';
import { createLogger } from '@agentforge/telemetry';
import { create } from '@bufbuild/protobuf';
import { type FakeCapacity, SharedCapacity } from '../../test/fake-capacity.js';
import { LeaseScheduler } from './lease-scheduler.js';
import { RunCensus } from './run-census.js';
import { RunLeases } from './run-leases.js';

const logger = createLogger({ service: 'test', level: 'silent' });
const host = {
  name: 'host',
  total: { cpu: 4, memoryBytes: 100, gpus: 0, gpuMemoryBytes: 0 },
  phases: new Set(['noop']),
  updateMs: 0,
};

/** A replica with a scheduler and runs whose steps ask for cores. */
class Replica {
  readonly runs = new Map<string, RunRecord>();
  readonly leases = new Map<string, RunLeases>();
  readonly woken: string[] = [];
  readonly census = new RunCensus();
  readonly capacity: FakeCapacity;
  readonly scheduler: LeaseScheduler;

  constructor(shared: SharedCapacity, name: string, leaseMs = 1_000) {
    this.capacity = shared.replica(name);
    const { capacity, census } = this;
    this.scheduler = new LeaseScheduler(
      {
        capacity,
        census,
        logger,
        nowMs: Date.now,
        stateOf: (run) => this.runs.get(run),
        wake: (run) => this.woken.push(run),
      },
      { holder: name, leaseMs, patienceMs: 60_000 },
    );
    this.scheduler.start();
  }

  /** Takes in a run whose steps are READY. */
  run(name: string, cpus: readonly number[], priority = 0): RunRecord {
    const steps = cpus.map((cpu, i) =>
      create(StepSpecSchema, { id: `s${i}`, phase: 'noop', ...(cpu > 0 ? { resources: { cpu } } : {}) }),
    );
    const created = { case: 'runCreated' as const, value: { graph: { steps, priority } } };
    const ready = steps.map(({ id }) => ({ case: 'stepReady' as const, value: { stepId: id } }));
    return this.fold(name, [created, ...ready]);
  }

  // biome-ignore lint/suspicious/noExplicitAny: payloads of any event
  fold(name: string, payloads: any[]): RunRecord {
    const before = this.runs.get(name);
    const events = payloads.map((payload) => ({
      $typeName: 'agentforge.events.v1.RunEvent' as const,
      actor: '',
      time: { $typeName: 'google.protobuf.Timestamp' as const, seconds: 1n, nanos: 0 },
      payload,
    }));
    const after = foldRun(before, { run: name, events } as never, (before?.revision ?? 0n) + 1n);
    this.runs.set(name, after);
    this.census.observe(after);
    return after;
  }

  ask(name: string, ...stepIds: string[]): void {
    const state = this.state(name);
    const leases = this.leases.get(name) ?? new RunLeases(name, this.scheduler);
    this.leases.set(name, leases);
    for (const stepId of stepIds) leases.ask(state, stepId);
  }

  state(name: string): RunRecord {
    const state = this.runs.get(name);
    if (!state) throw new Error(`no run ${name}`);
    return state;
  }

  answer(name: string, stepId: string) {
    const step = stepOf(this.state(name), stepId);
    if (!step) throw new Error(`no step ${stepId}`);
    return (this.leases.get(name) ?? new RunLeases(name, this.scheduler)).answerOf(step);
  }

  /** What people are told about the steps of a run: how many hold a slot, and what each waits for. */
  outlook(name: string, slots: number) {
    const state = this.state(name);
    const leases = this.leases.get(name) ?? new RunLeases(name, this.scheduler);
    const { asked, answerOf } = leases.outlook(state, slots, Date.now());
    return { asked, answers: [...stepsIn(state, StepState.READY)].map(answerOf) };
  }

  /** Schedules a step as the engine does once it was granted. */
  schedule(name: string, stepId: string): void {
    const attemptId = attemptIdOf(name, stepId, 1);
    this.fold(name, [{ case: 'stepScheduled', value: { stepId, attemptId, number: 1, fencingToken: 1n } }]);
    this.leases.get(name)?.settle(stepId, attemptId);
  }

  end(name: string, stepId: string): void {
    const attemptId = attemptIdOf(name, stepId, 1);
    this.fold(name, [
      { case: 'stepStarted', value: { stepId, attemptId, worker: 'w' } },
      { case: 'stepReported', value: { stepId, attemptId, result: { outcome: 'done' } } },
    ]);
    this.scheduler.release(attemptId);
  }
}

async function until(isMet: () => boolean): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (isMet()) return;
    await sleep(10);
  }
  throw new Error('not met in 3 s');
}

describe('LeaseScheduler', () => {
  const A = 'projects/p/runs/a';
  const B = 'projects/q/runs/b';
  let shared: SharedCapacity;
  const replicas: Replica[] = [];
  const replica = (name: string, leaseMs?: number): Replica => {
    const made = new Replica(shared, name, leaseMs);
    replicas.push(made);
    return made;
  };

  beforeEach(() => {
    shared = new SharedCapacity();
    shared.pools = [host];
  });
  afterEach(() => {
    for (const { scheduler } of replicas.splice(0)) scheduler.stop();
  });

  it('asks for nothing on behalf of steps that need nothing', async () => {
    const one = replica('one');
    one.run(A, [0]);
    expect(one.answer(A, 's0')).toBeUndefined();
    await sleep(50);
    expect(shared.ledger.revision).toBe(0);
    shared.limits.set('p', {
      maxRunningRuns: 0,
      maxQueuedRuns: 3,
      maxRunningSteps: 0,
      maxArtifactBytes: 5,
      weight: 2,
    });
    expect(one.answer(A, 's0')).toBeUndefined();
  });

  it('grants all that fits in one write, says what the rest misses, and grants it when something ends', async () => {
    const one = replica('one');
    one.run(A, [2, 2, 2]);
    one.ask(A, 's0', 's1', 's2');
    await until(() => shared.ledger.entries.length === 2);
    expect(shared.ledger.revision).toBe(1);
    expect(one.answer(A, 's0')).toMatchObject({
      kind: 'granted',
      lease: { pool: 'host', granted: { cpu: 2 } },
    });
    expect(one.answer(A, 's2')).toMatchObject({
      kind: 'waiting',
      wait: { kind: WaitKind.RESOURCES, position: 1, missing: { cpu: 2 } },
    });
    expect(one.woken).toEqual([A]);
    one.schedule(A, 's0');
    one.schedule(A, 's1');
    one.end(A, 's0');
    await until(() => one.answer(A, 's2')?.kind === 'granted');
    expect(shared.ledger.entries.map(({ id }) => id)).toEqual(['p.a.s1.1', 'p.a.s2.1']);
  });

  it('never grants more than there is when replicas grant at once, and serves the higher priority first', async () => {
    const [one, two] = [replica('one'), replica('two')];
    one.run(A, [1, 1, 1, 1, 1, 1]);
    two.run(B, [1, 1, 1, 1, 1, 1]);
    one.ask(A, 's0', 's1', 's2', 's3', 's4', 's5');
    two.ask(B, 's0', 's1', 's2', 's3', 's4', 's5');
    await until(() => shared.ledger.entries.length === 4);
    for (const { entries } of shared.history) {
      expect(entries.reduce((sum, { cpu }) => sum + cpu, 0)).toBeLessThanOrEqual(4);
      expect(new Set(entries.map(({ id }) => id)).size).toBe(entries.length);
    }
  });

  it('leaves what is free to another replica whose request comes first', async () => {
    const [one, two] = [replica('one'), replica('two')];
    two.run(B, [4], 5);
    await two.capacity.publishRequests([
      {
        id: 'q.b.s0.1',
        run: B,
        project: 'q',
        phase: 'noop',
        priority: 5,
        sinceMs: 1,
        cpu: 4,
        memoryBytes: 0,
        gpus: 0,
        gpuMemoryBytes: 0,
      },
    ]);
    one.run(A, [1]);
    one.ask(A, 's0');
    await until(() => one.answer(A, 's0')?.kind === 'waiting' && shared.queues.has('one'));
    expect(shared.ledger.entries).toEqual([]);
    two.ask(B, 's0');
    await until(() => two.answer(B, 's0')?.kind === 'granted');
  });

  it('says in every replica why a step waits, whichever was asked for its resources, and writes nothing for that', async () => {
    const [one, two] = [replica('one'), replica('two')];
    const waits = (position: number, cpu = 2) => ({
      kind: 'waiting',
      wait: { kind: WaitKind.RESOURCES, position, missing: { cpu } },
    });
    one.run(A, [3, 3, 3]);
    one.ask(A, 's0', 's1');
    await until(() => one.answer(A, 's0')?.kind === 'granted');
    one.schedule(A, 's0');
    two.run(A, [3, 3, 3]);
    two.schedule(A, 's0');
    await two.capacity.readLedger();
    const { revision } = shared.ledger;
    // Before the first replica has told what waits in it, and after that.
    expect(two.outlook(A, 1)).toMatchObject({ asked: 1, answers: [waits(1), { kind: 'unasked' }] });
    await until(() => shared.queues.get('one')?.length === 1);
    expect(two.outlook(A, 1)).toMatchObject({ asked: 1, answers: [waits(1), { kind: 'unasked' }] });
    // What is free is set aside for the first, which has waited for long.
    expect(two.outlook(A, 2)).toMatchObject({ asked: 2, answers: [waits(1), waits(2, 3)] });
    expect(one.outlook(A, 0)).toMatchObject({ asked: 1, answers: [waits(1), { kind: 'unasked' }] });
    expect(shared.ledger.revision).toBe(revision);
    two.fold(A, [{ case: 'runPaused', value: {} }]);
    expect(two.outlook(A, 2)).toMatchObject({
      asked: 0,
      answers: [{ kind: 'unasked' }, { kind: 'unasked' }],
    });
  });

  it('keeps leases of living attempts, whoever granted them, and drops those of the dead and of the unknown', async () => {
    const entry = (id: string, over: Partial<LedgerEntry> = {}): LedgerEntry => ({
      id,
      run: A,
      project: 'p',
      pool: 'host',
      cpu: 1,
      memoryBytes: 0,
      gpus: 0,
      gpuMemoryBytes: 0,
      gpuIndices: [],
      holder: 'gone',
      expiresMs: Date.now() - 1,
      ...over,
    });
    shared.ledger = {
      revision: 1,
      entries: [entry('p.a.s0.1'), entry('p.a.s1.1'), entry('p.x.s0.1', { run: 'projects/p/runs/x' })],
    };
    const one = replica('one', 400);
    one.run(A, [1, 1, 4]);
    one.schedule(A, 's0');
    one.schedule(A, 's1');
    one.end(A, 's1');
    await one.capacity.readLedger();
    one.ask(A, 's2');
    await until(() => shared.ledger.entries.length === 1 && shared.ledger.entries[0]?.holder === 'one');
    expect(shared.ledger.entries[0]).toMatchObject({ id: 'p.a.s0.1', holder: 'one' });
    const first = shared.ledger.entries[0]?.expiresMs ?? 0;
    await until(() => (shared.ledger.entries[0]?.expiresMs ?? 0) > first);
    expect(stepOf(one.state(A), 's0')?.attempts[0]?.state).toBe(AttemptState.QUEUED);
  });

  it('takes back what is not used: the run is paused, or another gate closed', async () => {
    const one = replica('one');
    one.run(A, [3, 3]);
    one.ask(A, 's0', 's1');
    await until(() => one.answer(A, 's0')?.kind === 'granted');
    one.fold(A, [{ case: 'runPaused', value: {} }]);
    expect(one.state(A).state).toBe(RunState.PAUSED);
    await until(() => shared.ledger.entries.length === 0);
    expect(one.answer(A, 's0')).toEqual({ kind: 'unasked' });
  });

  it('keeps to the limits of projects over replicas, and says so', async () => {
    shared.limits.set('p', {
      maxRunningRuns: 1,
      maxQueuedRuns: 0,
      maxRunningSteps: 2,
      maxArtifactBytes: 0,
      weight: 0,
    });
    const [one, two] = [replica('one'), replica('two')];
    const C = 'projects/p/runs/c';
    one.run(A, [0, 0, 0]);
    one.ask(A, 's0', 's1', 's2');
    await until(() => shared.ledger.entries.length === 2);
    two.run(C, [0]);
    two.ask(C, 's0');
    await until(() => two.answer(C, 's0')?.kind === 'waiting');
    await until(() => {
      const answer = two.answer(C, 's0');
      return answer?.kind === 'waiting' && answer.wait.kind === WaitKind.PROJECT_LIMIT;
    });
    expect(one.answer(A, 's0')).toEqual({ kind: 'granted' });
    expect(one.answer(A, 's2')).toMatchObject({
      wait: { kind: WaitKind.PROJECT_LIMIT, detail: expect.stringContaining('max_running_steps') },
    });
    expect(two.answer(C, 's0')).toMatchObject({
      wait: { detail: 'project "p" has 1 runs in progress, as many as its quota allows (max_running_runs)' },
    });
  });
});
