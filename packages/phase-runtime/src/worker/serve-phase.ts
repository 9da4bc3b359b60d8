import { parentPort } from 'node:worker_threads';
import { FolderArtifactStore } from '@agentforge/artifacts';
import { AppError } from '@agentforge/errors';
import { StopFlag } from './control.js';
import type { HostMessage, ThreadMessage, WorkerInput, WorkerMessage } from './messages.js';
import { type OrderInbox, PortInbox } from './order-inbox.js';
import type { PhaseContext, PhaseResult } from './phase-context.js';
import { type SubtaskWork, serveSubtasks } from './serve-subtasks.js';
import { describeError } from './system-error.js';
import { StoppedError } from './worker.errors.js';
import { WorkerContext } from './worker-context.js';

/** The work of a phase. */
export type PhaseWork<Config> = (context: PhaseContext<Config>) => Promise<PhaseResult>;

/**
 * Serves a phase in the worker thread that loaded this module: the only statement of a worker's entry file. Runs what the
 * host gives it, one piece of work after another. Whatever happens, the host gets exactly one last message for each.
 * @param subtaskWork  computes subtasks of steps of other workers; absent for a phase that spreads none
 */
export async function servePhase<Config>(
  work: PhaseWork<Config>,
  subtaskWork: SubtaskWork<Config> = noSubtasks,
): Promise<void> {
  if (!parentPort) throw new Error('servePhase() runs in worker threads only');
  parentPort.on('message', async ({ input, port }: HostMessage) => {
    if (!input) return serveSubtasks(port, subtaskWork);
    const last = await runPhase(input, work, (message) => port.postMessage(message), new PortInbox(port));
    port.postMessage(last);
    port.close();
  });
  parentPort.postMessage({ kind: 'loaded' } satisfies ThreadMessage);
}

async function noSubtasks(): Promise<never> {
  throw new AppError('UNIMPLEMENTED', 'this phase has no subtasks');
}

/**
 * Runs a phase in the calling thread.
 * @param orders  what the host tells it meanwhile; absent when it is alone
 * @returns the last message
 */
export async function runPhase<Config>(
  input: WorkerInput,
  work: PhaseWork<Config>,
  send: (message: WorkerMessage) => void,
  orders?: OrderInbox,
): Promise<WorkerMessage> {
  const { reason } = new StopFlag(input.stop);
  if (reason) return { kind: 'stopped', reason };
  try {
    const artifacts = await FolderArtifactStore.open({ directory: input.artifactDirectory });
    const context = new WorkerContext<Config>(input, artifacts, send, orders);
    const result = await work(context);
    context.flush();
    return { kind: 'succeeded', result: { ...result, wallSeconds: context.wallSeconds } };
  } catch (error) {
    if (error instanceof StoppedError) return { kind: 'stopped', reason: error.stopReason };
    return { kind: 'failed', error: describeError(error) };
  }
}
