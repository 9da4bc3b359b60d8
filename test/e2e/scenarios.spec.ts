import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  AttemptState,
  FailureClass,
  type InputBindingSchema,
  type RetryPolicySchema,
  type Run,
  RunState,
  type StepSpecSchema,
  StepState,
  WaitKind,
} from '@agentforge/contracts';
import { stepSeedOf } from '@agentforge/events';
import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import { type JournalLine, readJournal } from '../probe-phase/journal.mjs';
import { expectedDigest } from '../probe-phase/outcome.mjs';
import { eventually, isAlive, LocalSystem } from './local-system.js';

type StepInit = MessageInitShape<typeof StepSpecSchema>;
type InputInit = MessageInitShape<typeof InputBindingSchema>;

/** What a step has besides its configuration. */
interface More {
  readonly inputs?: InputInit[];
  readonly retry?: MessageInitShape<typeof RetryPolicySchema>;
  readonly allowFallback?: boolean;
  readonly resources?: StepInit['resources'];
}

const SEED = 11n;
const PROBE = fileURLToPath(new URL('../probe-phase/main.mjs', import.meta.url));
/** Cores of the pool that both workers share. */
const POOL_CORES = 2;
/** Workers that a task may take with it. */
const TRIES = 5;
const RETRY_SOON = { initialInterval: { nanos: 50_000_000 }, backoffCoefficient: 1, jitter: 0 };

/** The ways in which a step goes wrong and the run goes on, on real processes: two orchestrators, two workers. */
describe('recovery scenarios', () => {
  let system: LocalSystem;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'forge-scenarios-'));
    const journal = join(folder, 'journal');
    mkdirSync(journal);
    system = await LocalSystem.start(
      { FORGE_PROBE_JOURNAL_DIR: journal, FORGE_POOL_CPU: String(POOL_CORES) },
      [...['--service', `phase-probe=${PROBE}`], ...['--replicas', 'orchestrator=2,phase-probe=2']],
    );
    await eventually('the probe phase is registered', async () => {
      const { phases } = await system.pipeline.listPhases({}).catch(() => ({ phases: [] }));
      return phases.some(({ name }) => name === 'probe');
    });
  }, 150_000);
  afterAll(async () => {
    await system.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const stepOf = (run: Run, id: string) => {
    const step = run.steps.find(({ spec }) => spec?.id === id);
    if (!step) throw new Error(`no step ${id}`);
    return step;
  };
  const outputOf = (run: Run, id: string) => stepOf(run, id).result?.outputs[0]?.artifacts[0]?.digest;
  const classesOf = (run: Run, id: string) =>
    stepOf(run, id).attempts.map(({ failure }) => failure?.failureClass);
  const journalOf = (key: string): JournalLine[] =>
    readJournal(join(folder, 'journal')).filter((line) => line.key === key);
  /** A step whose journal key is its id: unique over all tests. */
  const probe = (id: string, config: JsonObject, more: More = {}): StepInit => ({
    id,
    phase: 'probe',
    config: { journal_key: id, ...config },
    retry: { ...RETRY_SOON, maxAttempts: 3 },
    ...more,
  });
  const reads = (stepId: string): InputInit[] => [
    { port: 'inputs', source: { case: 'stepOutput', value: { stepId, output: 'report' } } },
  ];

  async function begin(runId: string, steps: StepInit[]): Promise<string> {
    const { run } = await system.pipeline.createRun({
      parent: 'projects/default',
      runId,
      graph: { seed: SEED, steps },
    });
    return run?.name ?? '';
  }

  const finished = async (runId: string, steps: StepInit[]) => end(await begin(runId, steps));

  const end = (name: string, timeoutMs = 90_000): Promise<Run> =>
    eventually(
      `end of ${name}`,
      async () => {
        const { run: now } = await system.pipeline.getRun({ name });
        return now?.endTime && now;
      },
      timeoutMs,
    );

  it('transient failure: the step is tried again and the run completes as if nothing had happened', async () => {
    const config = { units: 4, fail_first: 1, fail_at: 2 };
    const run = await finished('transient', [
      probe('shaky', config),
      probe('after-shaky', { units: 2 }, { inputs: reads('shaky') }),
    ]);
    expect(run.state).toBe(RunState.COMPLETED);
    expect(classesOf(run, 'shaky')).toEqual([FailureClass.TRANSIENT, undefined]);
    const digest = expectedDigest({ units: 4 }, stepSeedOf(SEED, { id: 'shaky' }), []);
    expect(outputOf(run, 'shaky')).toBe(digest);
    expect(outputOf(run, 'after-shaky')).toBe(
      expectedDigest({ units: 2 }, stepSeedOf(SEED, { id: 'after-shaky' }), [digest]),
    );
  }, 120_000);

  it('repeated failure: three attempts fail, the fourth succeeds', async () => {
    const run = await finished('repeated', [
      probe('stubborn', { units: 3, fail_first: 3 }, { retry: { ...RETRY_SOON, maxAttempts: 4 } }),
    ]);
    expect(run.state).toBe(RunState.COMPLETED);
    const { attempts } = stepOf(run, 'stubborn');
    const { FAILED, SUCCEEDED } = AttemptState;
    expect(attempts.map(({ state }) => state)).toEqual([FAILED, FAILED, FAILED, SUCCEEDED]);
    expect(attempts.map(({ failure }) => failure?.reason)).toEqual([
      ...Array(3).fill('TOLD_TO_FAIL'),
      undefined,
    ]);
    expect(journalOf('stubborn').filter(({ kind }) => kind === 'fail')).toHaveLength(3);
  }, 120_000);

  it('crash with checkpoint: what two checkpoints kept is not done again', async () => {
    const config = { units: 12, checkpoint_every: 4, unit_ms: 30, crash_at: 9, crashes: 1 };
    const run = await finished('crash', [probe('crashing', config)]);
    expect(run.state).toBe(RunState.COMPLETED);
    expect(outputOf(run, 'crashing')).toBe(
      expectedDigest({ units: 12 }, stepSeedOf(SEED, { id: 'crashing' }), []),
    );

    const lines = journalOf('crashing');
    const [first, second] = [...new Set(lines.map(({ life }) => life))];
    const unitsOf = (life: string | undefined) =>
      lines.filter((line) => line.life === life && line.kind === 'unit').map(({ unit }) => unit);
    expect(unitsOf(first)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(lines.filter(({ life, kind }) => life === first && kind === 'checkpoint')).toHaveLength(2);
    expect(lines.find(({ kind }) => kind === 'crash')?.unit).toBe(9);
    // Only unit 8 lay behind the second checkpoint.
    expect(unitsOf(second)).toEqual([8, 9, 10, 11]);
    expect(stepOf(run, 'crashing').attempts).toHaveLength(1);
    expect(stepOf(run, 'crashing').attempts[0]?.deliveries).toBe(2);
  }, 120_000);

  it('resource constraint: what asks for more than there is fails with its reason, and nothing crashes', async () => {
    const workers = ['phase-probe', 'phase-probe-2'];
    const pids = await eventually('both workers live', () => {
      const now = workers.map((name) => system.pidOf(name));
      return now.every(isAlive) && now;
    });
    const run = await finished('too-large', [
      probe('greedy', { memory_bytes: 2 ** 52 }, { allowFallback: false }),
      probe('modest', {}),
    ]);
    expect(run.state).toBe(RunState.FAILED);
    expect(run.failure).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'MACHINE_EXHAUSTED' });
    expect(classesOf(run, 'greedy')).toEqual(Array(3).fill(FailureClass.RESOURCE));
    expect(stepOf(run, 'modest').state).toBe(StepState.COMPLETED);
    expect(workers.map((name) => system.pidOf(name))).toEqual(pids);

    const steps = [probe('oversized', { journal_key: '', units: 1 })];
    const graph = { seed: SEED, steps: steps.map((step) => ({ ...step, config: { units: 1e9 } })) };
    await expect(
      system.pipeline.createRun({ parent: 'projects/default', runId: 'oversized', graph }),
    ).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      fieldViolations: [{ field: expect.stringContaining('config.units') }],
    });
  }, 120_000);

  it('permanent failure: the declared fallback takes its place, dependents run, and the run says so', async () => {
    const run = await finished('permanent', [
      probe('broken', { fail_first: 100, fail_class: 'permanent' }),
      probe('dependent', { units: 2 }, { inputs: reads('broken') }),
    ]);
    expect(run.state).toBe(RunState.COMPLETED);
    const broken = stepOf(run, 'broken');
    expect(classesOf(run, 'broken')).toEqual([FailureClass.PERMANENT, undefined]);
    expect(broken).toMatchObject({
      usedFallback: true,
      fallback: 'constant',
      fallbackCause: { reason: 'TOLD_TO_FAIL', failureClass: FailureClass.PERMANENT },
      result: { outcome: 'fallback' },
    });
    const digest = expectedDigest({}, stepSeedOf(SEED, { id: 'broken' }), [], true);
    expect(outputOf(run, 'broken')).toBe(digest);
    expect(outputOf(run, 'dependent')).toBe(
      expectedDigest({ units: 2 }, stepSeedOf(SEED, { id: 'dependent' }), [digest]),
    );
    const { events } = await system.pipeline.listRunEvents({ name: run.name, pageSize: 1000 });
    expect(events.filter(({ payload }) => payload.case === 'stepFallbackUsed')).toHaveLength(1);
    expect(await system.forge('run', 'get', 'permanent')).toMatch(/fallback/);
  }, 120_000);

  it('poison: a step that kills every worker ends among the dead letters, and runs beside it complete', async () => {
    const workers = ['phase-probe', 'phase-probe-2'];
    const deadly = { units: 4, checkpoint_every: 4, crash_at: 1, crashes: 100 };
    const poison = await begin('poison', [probe('deadly', deadly, { allowFallback: false })]);
    const ids = [1, 2, 3].map((i) => `beside-poison-${i}`);
    // Checkpoints: what dies with a worker that somebody else's step kills gets on, and is no poison.
    const healthy = { units: 60, unit_ms: 50, checkpoint_every: 2 };
    const beside = await Promise.all(ids.map((id) => begin(id, [probe(id, healthy)])));

    // Five workers start and die in turn, with growing waits between them.
    const run = await end(poison, 200_000);
    expect(run).toMatchObject({ state: RunState.FAILED, failure: { reason: 'POISON_TASK' } });
    // Permanent: no second attempt may take more workers with it.
    expect(classesOf(run, 'deadly')).toEqual([FailureClass.PERMANENT]);
    const crashes = journalOf('deadly').filter(({ kind }) => kind === 'crash');
    expect(new Set(crashes.map(({ pid }) => pid)).size).toBe(crashes.length);
    expect(crashes.length).toBeGreaterThanOrEqual(3);
    expect(crashes.length).toBeLessThanOrEqual(TRIES);

    const list = await system.forge('dlq', 'list', '-o', 'json', '--reason', 'POISON_TASK');
    expect(JSON.parse(list)).toMatchObject([
      {
        run: poison,
        phase: 'probe',
        reason: 'POISON_TASK',
        message: expect.stringContaining(`${TRIES} workers died`),
      },
    ]);
    for (const [i, name] of beside.entries()) {
      const id = ids[i] ?? '';
      const done = await end(name);
      expect(done.state).toBe(RunState.COMPLETED);
      expect(outputOf(done, id)).toBe(expectedDigest(healthy, stepSeedOf(SEED, { id }), []));
    }
    await eventually('both workers live again', () => workers.every((name) => isAlive(system.pidOf(name))));
    const after = await finished('after-poison', [probe('after-poison', { units: 2 })]);
    expect(after.state).toBe(RunState.COMPLETED);
  }, 300_000);

  it('resource lease: a step waits until another gives its lease back, says why, and is admitted then', async () => {
    const resources = { cpu: POOL_CORES };
    const holder = await begin('lease-holder', [
      probe('holding', { units: 100_000, unit_ms: 20 }, { resources }),
    ]);
    await eventually('the holder works', () => journalOf('holding').length > 0);
    const waiter = await begin('lease-waiter', [probe('waiting', { units: 2 }, { resources: { cpu: 1 } })]);
    const wait = await eventually('it waits for resources', async () => {
      const { waits } = await system.pipeline.explainStep({ run: waiter, stepId: 'waiting' });
      return waits.find(({ kind }) => kind === WaitKind.RESOURCES);
    });
    expect(wait).toMatchObject({ position: 1, missing: { cpu: 1 } });
    expect(wait.message).toMatch(/missing 1 core;/);
    // Whichever orchestrator is asked, the one that looks after the run or the other.
    for (let i = 0; i < 4; i++) {
      const { run } = await system.pipeline.getRun({ name: waiter });
      expect(run && stepOf(run, 'waiting').waits.map(({ message }) => message)).toEqual([wait.message]);
    }
    expect(await system.forge('run', 'explain', 'lease-waiter')).toContain(wait.message);
    expect(await system.forge('run', 'get', 'lease-waiter')).toContain(wait.message);
    expect(journalOf('waiting')).toEqual([]);

    await system.pipeline.cancelRun({ name: holder });
    expect((await end(waiter)).state).toBe(RunState.COMPLETED);
    expect((await end(holder)).state).toBe(RunState.CANCELLED);
    const { waits } = await system.pipeline.explainStep({ run: waiter, stepId: 'waiting' });
    expect(waits).toEqual([]);
    const given = Math.max(...journalOf('holding').map(({ timeMs }) => timeMs));
    expect(Math.min(...journalOf('waiting').map(({ timeMs }) => timeMs))).toBeGreaterThan(given);
  }, 120_000);

  it('resource lease: a step that no pool could ever hold is refused when it is asked for', async () => {
    const resources = { cpu: POOL_CORES + 1 };
    await expect(begin('never-fits', [probe('huge', {}, { resources })])).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      fieldViolations: [
        {
          field: expect.stringMatching(/steps\[0\]\.resources\.cpu$/),
          description: expect.stringContaining(`${POOL_CORES} cores`),
        },
      ],
    });
    await expect(system.pipeline.getRun({ name: 'projects/default/runs/never-fits' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
