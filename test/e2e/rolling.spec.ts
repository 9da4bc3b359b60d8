import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CachePolicy, type Run, RunState } from '@agentforge/contracts';
import { check, type Findings } from '../chaos/checker.mjs';
import { type Graph, journalKey } from '../chaos/graphs.mjs';
import { readHistory, Witness } from '../chaos/history.mjs';
import { Load } from '../chaos/load.mjs';
import { type Random, randomOf } from '../chaos/random.mjs';
import { eventually, isAlive, LocalSystem } from './local-system.js';
import { type StepInit, smallPipeline } from './pipeline-spec.js';

const PROBE = fileURLToPath(new URL('../probe-phase/main.mjs', import.meta.url));
const ENGINE = ['validators', 'orchestrator', 'pipeline-controller'];
const WORKERS = ['phase-cognate', 'phase-probe', 'phase-evomerge', 'phase-quietstar'];
const USERS = 2;
/** Reasons with which a front door that goes ends a stream: its own, and that of any service. */
const GOING = ['SERVICE_STOPPING', 'DRAINING'];
/** Waits on a machine that does ten other things: a start takes 2 s on a quiet one. */
const LIMIT_MS = { drain: 30_000, start: 90_000, run: 400_000 };
/** Longest wait of a client of the engine before it looks for a lost server again, and some. Workers have no clients. */
const SETTLE_MS = 1_500;

/** A chain of one to three short steps. One attempt each: a worker that stops must not cost one. */
function shortChain(random: Random, runId: string): Graph {
  const steps = Array.from({ length: random.between(1, 3) }, (_, i) => ({
    id: `s${i}`,
    phase: 'probe',
    config: {
      units: random.between(10, 40),
      unit_ms: 20,
      checkpoint_every: 4,
      output_bytes: 64,
      journal_key: journalKey(runId, `s${i}`),
    },
    inputs: Array.from({ length: Math.min(1, i) }, () => ({
      port: 'inputs',
      source: {
        case: 'stepOutput' as const,
        value: { stepId: `s${i - 1}`, output: 'report' },
      },
    })),
    retry: { maxAttempts: 1 },
    allowFallback: false,
    cache: CachePolicy.OFF,
  }));
  return { seed: BigInt(random.between(1, 2 ** 30)), steps };
}

/**
 * Every service is replaced while it is used, as an operator brings out a release: the second replica is new and serves
 * before the first drains. The engine and the workers are rolled side by side, so that drains of some meet starts of others.
 */
describe('a rolling restart', () => {
  let system: LocalSystem;
  let folder: string;
  let journalDir: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'forge-rolling-'));
    journalDir = join(folder, 'journal');
    mkdirSync(journalDir);
    const settings = {
      FORGE_PROBE_JOURNAL_DIR: journalDir,
      FORGE_TASK_CONCURRENCY: '2',
      FORGE_DRAIN_TIMEOUT_MS: '25000',
      // Nothing is killed: a worker that is silent for a while has no processor.
      FORGE_TASK_ACK_WAIT_MS: '15000',
    };
    system = await LocalSystem.start(settings, [
      ...['--service', `phase-probe=${PROBE}`],
      ...['--replicas', [...ENGINE, ...WORKERS].map((service) => `${service}=2`).join()],
    ]);
  }, 180_000);
  afterAll(async () => {
    await system.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const runOf = async (name: string) => (await system.pipeline.getRun({ name })).run as Run;

  /** Asks one process to end, and waits until its successor is ready, as a roll-out does. */
  async function roll(service: string): Promise<void> {
    const before = system.pidOf(service);
    process.kill(before, 'SIGTERM');
    await eventually(`${service} ended`, () => !isAlive(before), LIMIT_MS.drain);
    await eventually(
      `${service} is ready again`,
      async () => {
        if (system.pidOf(service) === before) return false;
        const answer = await fetch(`http://${system.addressOf(service, 'http')}/readyz`).catch(
          () => undefined,
        );
        return answer?.ok;
      },
      LIMIT_MS.start,
    );
  }

  /** Both replicas of a service, one after the other, once everybody has found the new one. */
  async function rollAll(service: string, replicas = [`${service}-2`, service]): Promise<void> {
    for (const replica of replicas) {
      await roll(replica);
      if (ENGINE.includes(service)) await sleep(SETTLE_MS);
    }
  }

  async function begin(runId: string): Promise<string> {
    const graph = await smallPipeline(system);
    const steps = graph.steps.map((step) => ({
      ...step,
      // The only checkpoints are those of workers that hand over.
      config: { ...step.config, checkpoint_interval_s: 30 },
      cache: CachePolicy.OFF,
      retry: { maxAttempts: 1 },
    })) as StepInit[];
    const { run } = await system.pipeline.createRun({
      parent: 'projects/default',
      runId,
      graph: { ...graph, steps },
    });
    return run?.name ?? '';
  }

  const finished = (name: string) =>
    eventually(
      `end of ${name}`,
      async () => {
        const run = await runOf(name);
        return run.endTime && run;
      },
      LIMIT_MS.run,
    );

  /** Rolls the workers of a phase once one of them works on a step: that one first, so that it hands its work over. */
  async function rollDuring(name: string, id: string, service: string): Promise<void> {
    const attempt = await eventually(
      `a worker has ${id}`,
      async () => {
        const { steps } = await runOf(name);
        const last = steps.find(({ spec }) => spec?.id === id)?.attempts.at(-1);
        return last?.worker !== '' && last;
      },
      LIMIT_MS.run,
    );
    const replicas = [service, `${service}-2`];
    const isItsWorker = attempt.worker.endsWith(`-${system.pidOf(service)}`);
    await rollAll(service, isItsWorker ? replicas : replicas.reverse());
  }

  async function verdictOf(load: Load, witness: Witness): Promise<Findings> {
    const artifactDir = join(system.dataDir, 'artifacts');
    const history = await readHistory({ natsUrl: system.natsUrl, artifactDir, journalDir });
    return check({ ...history, accepted: load.accepted, seen: [...load.seen, ...witness.seen] });
  }

  it('of every service is not noticed by anybody: no run fails, none is doubled, no work is done again', async () => {
    const load = new Load(system.server, randomOf('7', 'rolling'), {
      graphOf: shortChain,
      deadlineMs: 30_000,
      // A stream that has begun cannot be repeated by the client: it ends, and says that another replica has it.
      isExpected: (call, { code, reason }) =>
        call === 'watchRun' && code === 'UNAVAILABLE' && GOING.includes(reason ?? ''),
    });
    const witness = new Witness();
    await witness.start(system.natsUrl);
    const [stop, giveUp] = [new AbortController(), new AbortController()];
    const running = load.run(USERS, stop.signal, giveUp.signal);
    let watched = '';
    let rolled: Run;
    try {
      const name = await begin('rolled');
      const watching = system.forge('run', 'watch', 'rolled');
      watching.catch(() => undefined);
      const rolledWorkers = (async () => {
        await rollDuring(name, 'found', 'phase-cognate');
        await rollAll('phase-probe');
        await rollDuring(name, 'evolve', 'phase-evomerge');
        await rollDuring(name, 'think', 'phase-quietstar');
      })();
      const rolledEngine = (async () => {
        for (const service of ENGINE) await rollAll(service);
      })();
      await Promise.all([rolledWorkers, rolledEngine]);
      rolled = await finished(name);
      stop.abort();
      await running;
      watched = await watching;
    } finally {
      stop.abort();
      giveUp.abort();
      await running;
      await witness.stop();
    }

    expect([...load.surprises]).toEqual([]);
    const { violations, ...figures } = await verdictOf(load, witness);
    expect(violations).toEqual([]);
    expect(figures).toMatchObject({
      lost: 0,
      doubled: 0,
      notTerminal: 0,
      digestMismatches: 0,
      unitsRedone: 0,
    });
    expect(figures.runs).toBeGreaterThan(2 * USERS);
    expect(load.ended.size).toBe(load.accepted.length);

    expect(rolled).toMatchObject({ state: RunState.COMPLETED });
    expect(watched).toMatch(/completed/i);
    // What was under way was handed over, and is no failure: one attempt each was all there was.
    const failures = rolled.steps.flatMap(({ attempts }) => attempts.flatMap(({ failure }) => failure ?? []));
    expect(new Set(failures.map(({ reason }) => reason))).toEqual(new Set(['RELEASED']));
    expect(forcedDrains()).toEqual([]);
  }, 900_000);

  /** Lines of all logs about a drain that had to cut something short. */
  function forcedDrains(): string[] {
    const logs = join(system.dataDir, 'logs');
    return readdirSync(logs).flatMap((file) =>
      readFileSync(join(logs, file), 'utf8')
        .split('\n')
        .filter((line) => line.includes('drain.forced'))
        .map((line) => `${file}: ${line}`),
    );
  }
});
