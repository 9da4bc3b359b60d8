import type { MessagePort } from 'node:worker_threads';
import { type ArtifactStore, FolderArtifactStore } from '@agentforge/artifacts';
import type { JsonValue } from '@bufbuild/protobuf';
import type { SubtaskEnd, SubtaskInput } from '../subtasks/subtask-messages.js';
import { StopFlag } from './control.js';
import { inputArtifact } from './input-artifact.js';
import type { InputArtifact, SubtaskContext } from './phase-context.js';
import { describeError } from './system-error.js';
import { StoppedError } from './worker.errors.js';

/**
 * Computes a subtask of a step that another worker executes. What it answers must be what the step's own thread would
 * have answered, to the bit.
 */
export type SubtaskWork<Config> = (context: SubtaskContext<Config>, subtask: JsonValue) => Promise<JsonValue>;

/** Computes, one after another, what comes through a port, until the port is closed. */
export function serveSubtasks<Config>(port: MessagePort, work: SubtaskWork<Config>): void {
  port.on('message', async (input: SubtaskInput) => {
    port.postMessage(await runSubtask(input, work));
  });
}

/** Computes one. */
export async function runSubtask<Config>(
  input: SubtaskInput,
  work: SubtaskWork<Config>,
): Promise<SubtaskEnd> {
  const stop = new StopFlag(input.stop);
  try {
    const artifacts = await FolderArtifactStore.open({ directory: input.artifactDirectory });
    const context = new HelperContext<Config>(input, artifacts, stop);
    const answer = await work(context, JSON.parse(input.json) as JsonValue);
    return { kind: 'computed', json: JSON.stringify(answer) };
  } catch (error) {
    if (error instanceof StoppedError) return { kind: 'stopped' };
    return { kind: 'failed', error: describeError(error) };
  }
}

class HelperContext<Config> implements SubtaskContext<Config> {
  readonly config: Config;
  readonly seed: bigint;
  readonly device: 'cpu' | 'cuda';
  readonly threads: number;

  constructor(
    private readonly input: SubtaskInput,
    private readonly artifacts: ArtifactStore,
    private readonly stop: StopFlag,
  ) {
    this.config = input.config as Config;
    this.seed = input.seed;
    this.device = input.device;
    this.threads = input.threads;
  }

  inputs(port: string): readonly InputArtifact[] {
    const found = this.input.inputs.find((input) => input.port === port);
    return found?.artifacts.map((ref) => inputArtifact(this.artifacts, ref)) ?? [];
  }

  progress(): void {
    // nobody watches
  }

  throwIfAborted(): void {
    const { reason } = this.stop;
    if (reason) throw new StoppedError(reason);
  }
}
