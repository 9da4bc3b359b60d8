import { availableParallelism } from 'node:os';
import type { ArtifactRef } from '@agentforge/contracts';
import { STOP, StopFlag } from '../worker/control.js';
import type { WorkerInput, WorkerMessage } from '../worker/messages.js';
import type { PhaseContext } from '../worker/phase-context.js';
import { type PhaseWork, runPhase } from '../worker/serve-phase.js';
import type { PhaseBench } from './phase-bench.js';

/** Work of a phase on given inputs, run in the calling thread. */
export interface WorkUnderTest<Config> {
  readonly bench: PhaseBench;
  readonly work: PhaseWork<Config>;
  /** Checked, defaults filled in. */
  readonly config: Config;
  readonly seed: bigint;
  readonly inputs: WorkerInput['inputs'];
}

/**
 * Digests of what undisturbed work delivers, in order.
 * @throws Error  it did not succeed
 */
export async function digestsOfWork<Config>(test: WorkUnderTest<Config>): Promise<string[]> {
  return digestsOf(await run(test, {}));
}

/**
 * Digests of what work delivers that is released once and goes on from its last checkpoint.
 * @param releaseAt  report of progress at which it is released, from 1
 * @throws Error  it was not stopped there, did not resume, or did not succeed
 */
export async function digestsOfResumedWork<Config>(
  test: WorkUnderTest<Config>,
  releaseAt: number,
): Promise<string[]> {
  let checkpoint: ArtifactRef | undefined;
  const stopped = await run(test, {
    releaseAt,
    onMessage: (message) => {
      if (message.kind === 'checkpointed') checkpoint = message.checkpoint;
    },
  });
  if (stopped.kind !== 'stopped') throw new Error(`not released at report ${releaseAt}: ${stopped.kind}`);
  let hasResumed = false;
  const last = await run(test, {
    checkpoint,
    onMessage: ({ kind }) => {
      hasResumed ||= kind === 'resumed';
    },
  });
  if (!hasResumed) throw new Error(`released at report ${releaseAt}, it started anew`);
  return digestsOf(last);
}

interface RunOptions {
  readonly checkpoint?: ArtifactRef | undefined;
  readonly releaseAt?: number;
  readonly onMessage?: (message: WorkerMessage) => void;
}

function run<Config>(
  { bench, work, config, seed, inputs }: WorkUnderTest<Config>,
  { checkpoint, releaseAt, onMessage = () => {} }: RunOptions,
): Promise<WorkerMessage> {
  const stop = new StopFlag();
  let reports = 0;
  const released = (context: PhaseContext<Config>) => {
    const progress = context.progress.bind(context);
    context.progress = (...report) => {
      if (++reports === releaseAt) stop.raise(STOP.release);
      progress(...report);
    };
    return work(context);
  };
  const input: WorkerInput = {
    phase: bench.phase.name,
    version: bench.phase.version,
    config,
    seed,
    fallback: '',
    inputs,
    checkpoint,
    checkpointSequence: 0,
    checkpointIntervalMs: 60_000,
    artifactDirectory: bench.directory,
    device: 'cpu',
    threads: availableParallelism(),
    stop: stop.buffer,
  };
  return runPhase(input, released, onMessage);
}

function digestsOf(last: WorkerMessage): string[] {
  if (last.kind !== 'succeeded') throw new Error(`ended as ${JSON.stringify(last)}`);
  return last.result.outputs.flatMap(({ artifacts }) => artifacts.map(({ digest }) => digest));
}
