import { type Run, RunState, StepState } from '@agentforge/contracts';
import { eventually, LocalSystem } from './local-system.js';
import { smallPipeline } from './pipeline-spec.js';

/** Digests of everything that a run delivered, by step and port. */
function digestsOf(run: Run): Record<string, string[]> {
  return Object.fromEntries(
    run.steps.flatMap((step) =>
      (step.result?.outputs ?? []).map((output) => [
        `${step.spec?.id}.${output.port}`,
        output.artifacts.map(({ digest }) => digest),
      ]),
    ),
  );
}

describe('recovery', () => {
  let system: LocalSystem;

  beforeAll(async () => {
    system = await LocalSystem.start();
  }, 150_000);
  afterAll(() => system.stop(), 60_000);

  const stateOf = async (name: string) => (await system.pipeline.getRun({ name })).run as Run;
  const step = (run: Run, id: string) => run.steps.find(({ spec }) => spec?.id === id);
  const finished = (name: string) =>
    eventually(
      `end of ${name}`,
      async () => {
        const run = await stateOf(name).catch(() => undefined);
        return run && [RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED].includes(run.state) && run;
      },
      240_000,
    );

  async function start(runId: string): Promise<string> {
    const graph = await smallPipeline(system);
    const { run } = await system.pipeline.createRun({ parent: 'projects/default', runId, graph });
    return run?.name ?? '';
  }

  /** Waits until a step has a checkpoint in its current attempt and is still running. */
  const checkpointed = (name: string, id: string, count: number) =>
    eventually(
      `checkpoint of ${id}`,
      async () => {
        const { events } = await system.pipeline.listRunEvents({ name, pageSize: 1000 });
        const stored = events.filter(
          ({ payload }) => payload.case === 'stepCheckpointed' && payload.value.stepId === id,
        );
        return stored.length >= count && step(await stateOf(name), id)?.state === StepState.RUNNING;
      },
      120_000,
    );

  it('ends with the same digests after kill -9 of workers, engine, front door and event log', async () => {
    const undisturbed = await finished(await start('undisturbed'));
    expect(undisturbed.failure).toBeUndefined();
    expect(undisturbed.state).toBe(RunState.COMPLETED);

    const name = await start('disturbed');
    await checkpointed(name, 'found', 1);
    system.kill('phase-cognate');
    await checkpointed(name, 'found', 2);
    system.kill('orchestrator');
    await checkpointed(name, 'found', 3);
    process.kill(system.natsPid(), 'SIGKILL');
    await eventually('front door answers', () => stateOf(name).catch(() => undefined));
    system.kill('pipeline-controller');
    await eventually(
      'the second step runs',
      async () => {
        const run = await stateOf(name).catch(() => undefined);
        return run && step(run, 'evolve')?.state === StepState.RUNNING;
      },
      180_000,
    );
    await checkpointed(name, 'evolve', 1);
    system.kill('phase-evomerge');
    const disturbed = await finished(name);

    expect(disturbed.failure).toBeUndefined();
    expect(disturbed.state).toBe(RunState.COMPLETED);
    expect(digestsOf(disturbed)).toEqual(digestsOf(undisturbed));
    expect(Object.keys(digestsOf(disturbed)).sort()).toEqual([
      'evolve.model',
      'evolve.recipe',
      'evolve.report',
      'evolve.tree',
      'found.models',
      'found.report',
      'think.model',
      'think.report',
    ]);
    // Only lost deliveries were repeated: the work of an attempt goes on from its checkpoint.
    expect(step(disturbed, 'found')?.attempts.at(-1)?.deliveries).toBeGreaterThan(1);
  }, 600_000);

  it('stops the computation within two seconds of a cancellation', async () => {
    const name = await start('cancelled');
    await eventually(
      'training',
      async () => step(await stateOf(name), 'found')?.attempts[0]?.startTime !== undefined,
    );
    const asked = Date.now();
    await system.pipeline.cancelRun({ name, reason: 'no longer needed' });
    const run = await finished(name);
    const ended = Number(run.endTime?.seconds ?? 0n) * 1000 + (run.endTime?.nanos ?? 0) / 1e6;
    expect(run.state).toBe(RunState.CANCELLED);
    expect(ended - asked).toBeLessThan(2_000);
  }, 120_000);

  it('pauses with a checkpoint and resumes to the same digests', async () => {
    const name = await start('paused');
    await checkpointed(name, 'found', 1);
    await system.pipeline.pauseRun({ name });
    await eventually(
      'released',
      async () => step(await stateOf(name), 'found')?.state === StepState.READY,
      15_000,
    );
    const paused = await stateOf(name);
    expect(paused.state).toBe(RunState.PAUSED);
    await system.pipeline.resumeRun({ name });
    const run = await finished(name);
    expect(run.state).toBe(RunState.COMPLETED);
    expect(digestsOf(run)).toEqual(digestsOf(await stateOf('projects/default/runs/undisturbed')));
  }, 300_000);
});
