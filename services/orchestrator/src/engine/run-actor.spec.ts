import {
  GraphSpecSchema,
  type RunEvent,
  RunEventSchema,
  StepReportSchema,
  type StepTask,
  TaskAction,
  TaskHeartbeatSchema,
} from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import {
  CorruptEventLogError,
  foldRun,
  MessageTooLargeError,
  type RunBatch,
  type RunRecord,
  StreamFullError,
} from '@agentforge/events';
import { createLogger, createMetrics } from '@agentforge/telemetry';
import { create } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { SharedCapacity } from '../../test/fake-capacity.js';
import { RUN } from '../../test/story.js';
import { Judge } from '../ports/judge.port.js';
import { PhaseCatalog } from '../ports/phase-catalog.port.js';
import { RunLog } from '../ports/run-log.port.js';
import { Workers } from '../ports/workers.port.js';
import { LeaseScheduler } from '../scheduling/lease-scheduler.js';
import { RunCensus } from '../scheduling/run-census.js';
import { directiveFor } from './directives.js';
import { RunActor } from './run-actor.js';

/** A log in memory that refuses appends when told to. */
class FakeLog extends RunLog {
  readonly batches: RunBatch[] = [];
  readonly failures: AppError[] = [];
  maxEvents = Number.POSITIVE_INFINITY;
  appends = 0;

  get revision(): bigint {
    return BigInt(this.batches.length);
  }

  /** Commits without looking at revisions, as another replica would. */
  commit(events: RunEvent[]): void {
    this.batches.push({ run: RUN, events, revision: this.revision + 1n, time: new Date() });
  }

  async append(_: string, events: RunEvent[], expected: bigint): Promise<bigint> {
    this.appends++;
    const failure = this.failures.shift();
    if (failure) throw failure;
    if (expected !== this.revision) throw new AppError('ABORTED', 'conflict');
    if (events.some((e) => e.payload.case === 'stepReported') && this.maxEvents === 0)
      throw new MessageTooLargeError('batch', 2, 1);
    this.commit(events);
    return this.revision;
  }

  async read(
    _: string,
    { afterRevision = 0n }: { readonly afterRevision?: bigint } = {},
  ): Promise<RunBatch[]> {
    return this.batches.filter(({ revision }) => revision > afterRevision);
  }

  async load(): Promise<RunRecord | undefined> {
    let state: RunRecord | undefined;
    for (const batch of this.batches) state = foldRun(state, batch, batch.revision);
    return state;
  }

  async revisionOf(): Promise<bigint> {
    return this.revision;
  }

  async *tail(): AsyncGenerator<RunBatch> {
    yield* this.batches;
  }
}

class FakeWorkers extends Workers {
  readonly tasks: StepTask[] = [];
  async dispatch(task: StepTask): Promise<void> {
    this.tasks.push(task);
  }
  direct(): void {}
  async forget(): Promise<void> {}
  async hasWorkers(): Promise<boolean> {
    return true;
  }
  async onReport(): Promise<void> {}
  onHeartbeat(): void {}
  async stop(): Promise<void> {}
}

class NoJudge extends Judge {
  async judgeInputs(): Promise<never> {
    throw new AppError('UNAVAILABLE', 'no judge');
  }
  async judgeOutputs(): Promise<never> {
    throw new AppError('UNAVAILABLE', 'no judge');
  }
}

class NoPhases extends PhaseCatalog {
  get(): undefined {
    return undefined;
  }
  list(): [] {
    return [];
  }
}

describe('RunActor', () => {
  const set = () => {
    const log = new FakeLog();
    const workers = new FakeWorkers();
    const ports = {
      log,
      workers,
      judge: new NoJudge(),
      phases: new NoPhases(),
      logger: createLogger({ service: 'test', level: 'silent' }),
      metrics: createMetrics('test'),
      capacity: new SharedCapacity().replica('test'),
    };
    const options = {
      actor: 'test',
      defaultParallelSteps: 4,
      takeoverMs: 1_000,
      sweepMs: 100,
      maxActiveRuns: 10,
      idleMs: 1_000,
      snapshotIntervalMs: 1_000,
      leaseMs: 1_000,
      patienceMs: 1_000,
    };
    const { capacity, logger } = ports;
    const actor = (): RunActor => {
      const census = new RunCensus();
      const scheduler = new LeaseScheduler(
        { capacity, census, logger, nowMs: Date.now, stateOf: () => made.state, wake: () => undefined },
        { holder: 'test', leaseMs: 1_000, patienceMs: 1_000 },
      );
      const made: RunActor = new RunActor(RUN, ports, options, { census, scheduler });
      return made;
    };
    return { log, workers, actor };
  };
  const creation = {
    kind: 'create' as const,
    displayName: '',
    labels: {},
    graph: create(GraphSpecSchema, { steps: [{ id: 'a', phase: 'noop' }] }),
    requestId: '',
    requestDigest: '',
  };
  const report = (payload: 'started' | 'succeeded') =>
    create(StepReportSchema, {
      run: RUN,
      stepId: 'a',
      attemptId: 'p.r.a.1',
      fencingToken: 1n,
      worker: 'w',
      payload:
        payload === 'started'
          ? { case: 'started', value: { delivery: 1 } }
          : { case: 'succeeded', value: { result: { outcome: 'done' } } },
    });

  it('commits, then publishes the task', async () => {
    const { log, workers, actor } = set();
    const state = await actor().post(creation);
    expect(state.revision).toBe(log.revision);
    expect(workers.tasks.map(({ attemptId }) => attemptId)).toEqual(['p.r.a.1']);
  });

  it('decides inputs that wait together, and answers each one', async () => {
    const { log, actor } = set();
    const one = actor();
    await one.post(creation);
    const [started, refused, paused] = await Promise.allSettled([
      one.post({ kind: 'report', report: report('started') }),
      one.post({ kind: 'resume' }),
      one.post({ kind: 'pause' }),
    ]);
    expect([started?.status, refused?.status, paused?.status]).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(log.appends).toBeLessThanOrEqual(3);
  });

  it('decides nothing any more when the log has a gap or an unreadable batch', async () => {
    for (const damage of ['gap', 'unreadable']) {
      const { log, workers, actor } = set();
      const one = actor();
      await one.post(creation);
      await new Promise((resolve) => setImmediate(resolve));
      const events = [
        create(RunEventSchema, { time: timestampNow(), payload: { case: 'runPaused', value: {} } }),
      ];
      const place = { run: RUN, revision: 3n, time: new Date() };
      one.observe(
        damage === 'gap'
          ? { ...place, events, previousRevision: 2n }
          : { ...place, events: [], problem: new CorruptEventLogError(RUN, 3n, new Error('cut')) },
      );
      expect(one.isQuarantined).toBe(true);
      expect(one.state?.revision).toBe(1n);
      for (const input of [
        { kind: 'pause' as const },
        { kind: 'report' as const, report: report('started') },
      ])
        await expect(one.post(input)).rejects.toMatchObject({ code: 'DATA_LOSS', reason: 'RUN_QUARANTINED' });
      one.sweep(Date.now() + 60_000);
      expect(log.appends).toBe(1);
      expect(workers.tasks).toHaveLength(1);
    }
  });

  it('goes on when only what it was sent has a gap, and the log has none', async () => {
    const { log, actor } = set();
    const one = actor();
    await one.post(creation);
    await new Promise((resolve) => setImmediate(resolve));
    const event = (name: 'runPaused' | 'runResumed') =>
      create(RunEventSchema, { time: timestampNow(), payload: { case: name, value: {} } });
    const before = log.revision;
    log.commit([event('runPaused')]);
    log.commit([event('runResumed')]);
    const last = { run: RUN, revision: before + 2n, previousRevision: before + 1n, time: new Date() };
    one.observe({ ...last, events: [event('runResumed')] });
    expect(one.isQuarantined).toBe(true);
    expect(await one.recheck()).toBe(true);
    expect(one.isQuarantined).toBe(false);
    expect(one.state?.revision).toBe(before + 2n);
    expect((await one.post({ kind: 'pause' })).revision).toBe(before + 3n);
  });

  it('reads what another replica committed first, and decides again', async () => {
    const { log, actor } = set();
    const [one, two] = [actor(), actor()];
    await one.post(creation);
    await two.catchUp();
    await one.post({ kind: 'report', report: report('started') });
    await two.post({ kind: 'report', report: report('started') });
    await two.post({ kind: 'pause' });
    await expect(one.post({ kind: 'resume' })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await one.catchUp();
    await one.post({ kind: 'resume' });
    const cases = log.batches.flatMap(({ events }) => events.map(({ payload }) => payload.case));
    expect(cases.filter((name) => name === 'stepStarted')).toHaveLength(1);
    expect(cases.slice(-2)).toEqual(['runPaused', 'runResumed']);
  });

  it('tells a caller at once that the log is away, and tries a report again', async () => {
    const { log, actor } = set();
    const one = actor();
    await one.post(creation);
    log.failures.push(new AppError('UNAVAILABLE', 'away'));
    await expect(one.post({ kind: 'pause' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    log.failures.push(new AppError('UNAVAILABLE', 'away'));
    await one.post({ kind: 'report', report: report('started') });
    expect(log.batches.at(-1)?.events[0]?.payload.case).toBe('stepStarted');
  });

  it('ends the attempt when its result does not fit into the log', async () => {
    const { log, actor } = set();
    const one = actor();
    await one.post(creation);
    log.maxEvents = 0;
    const state = await one.post({ kind: 'report', report: report('succeeded') });
    expect(state.failure?.reason).toBe('RESULT_TOO_LARGE');
  });

  it('keeps a result while the log has no room, and commits it when there is', async () => {
    const { log, actor } = set();
    const one = actor();
    await one.post(creation);
    log.failures.push(new StreamFullError('a batch', undefined), new StreamFullError('a batch', undefined));
    const state = await one.post({ kind: 'report', report: report('succeeded') });
    expect(state.failure).toBeUndefined();
    expect(log.batches.at(-1)?.events.map(({ payload }) => payload.case)).toContain('stepReported');
    log.failures.push(new StreamFullError('a batch', undefined));
    await expect(one.post({ kind: 'pause' })).rejects.toMatchObject({ reason: 'STREAM_FULL' });
  });

  it('leaves a run alone that another replica looks after, until it is silent', async () => {
    const { log, workers, actor } = set();
    const one = actor();
    await one.post(creation);
    const before = workers.tasks.length;
    const two = actor();
    await two.catchUp();
    two.sweep(Date.now());
    expect(workers.tasks).toHaveLength(before);
    two.sweep(Date.now() + 1_001);
    expect(workers.tasks).toHaveLength(before + 1);
    expect(log.batches).toHaveLength(1);
  });

  it('knows which workers lost their place', async () => {
    const { actor } = set();
    const one = actor();
    await one.post(creation);
    for (const worker of ['w', 'w2'])
      await one.post({ kind: 'report', report: { ...report('started'), worker } });
    const ask = (worker: string) =>
      directiveFor(
        one.state,
        create(TaskHeartbeatSchema, {
          run: RUN,
          stepId: 'a',
          attemptId: 'p.r.a.1',
          fencingToken: 1n,
          worker,
        }),
        one.effects.formerWorkers('p.r.a.1'),
      );
    expect([ask('w'), ask('w2'), ask('w3')]).toEqual([
      TaskAction.ABANDON,
      TaskAction.CONTINUE,
      TaskAction.CONTINUE,
    ]);
  });
});
