import type { MessagePort } from 'node:worker_threads';
import type { ArtifactRef } from '@agentforge/contracts';
import type { SpreadWord } from '../subtasks/subtask-messages.js';
import type { StopReason } from './control.js';
import type { ErrorMessage } from './error-message.js';
import type { CurvePoint, LogLevel, PhaseMetricValue, PhaseOutput } from './phase-context.js';

/** What a worker thread is given to do. */
export interface WorkerInput {
  readonly phase: string;
  readonly version: string;
  /** Checked, defaults filled in. */
  readonly config: unknown;
  readonly seed: bigint;
  /** Name of the fallback to execute; empty for the phase's own work. */
  readonly fallback: string;
  readonly inputs: readonly { readonly port: string; readonly artifacts: readonly ArtifactRef[] }[];
  /** The checkpoint to go on from. */
  readonly checkpoint: ArtifactRef | undefined;
  /** Number of the last checkpoint of this attempt, 0 for none. */
  readonly checkpointSequence: number;
  readonly checkpointIntervalMs: number;
  readonly artifactDirectory: string;
  /** What computes, as the service chose it. */
  readonly device: 'cpu' | 'cuda';
  /** Threads of the compute pool. */
  readonly threads: number;
  /** Memory of the {@link StopFlag}. */
  readonly stop: SharedArrayBuffer;
}

/** What the host tells a thread that waits for work. */
export interface HostMessage {
  /** Absent: the thread computes subtasks of other workers, which come through the port, until the host closes it. */
  readonly input: WorkerInput | undefined;
  /** Where the work says what it has to say, and is told about its subtasks; the thread closes it after the last message. */
  readonly port: MessagePort;
}

/** What a thread says of itself, on the port of the thread. */
export interface ThreadMessage {
  /** The modules are loaded: what comes begins at once. */
  readonly kind: 'loaded';
}

/** What a worker thread tells its host. The last message is one of succeeded, stopped and failed. */
export type WorkerMessage =
  | {
      readonly kind: 'progress';
      readonly fraction: number;
      readonly stage: string;
      readonly points: readonly CurvePoint[];
    }
  | { readonly kind: 'log'; readonly level: LogLevel; readonly text: string; readonly timeMs: number }
  | { readonly kind: 'resumed'; readonly checkpoint: ArtifactRef }
  | { readonly kind: 'checkpointed'; readonly checkpoint: ArtifactRef; readonly sequence: number }
  | SpreadWord
  | { readonly kind: 'succeeded'; readonly result: WorkerResult }
  | { readonly kind: 'stopped'; readonly reason: StopReason }
  | { readonly kind: 'failed'; readonly error: ErrorMessage };

/** What a computation delivered, with what it took. */
export interface WorkerResult {
  readonly outcome: string;
  readonly outputs: readonly PhaseOutput[];
  readonly metrics: readonly PhaseMetricValue[];
  readonly backend: string;
  readonly threads: number;
  /** Wall time of the computation over all deliveries. */
  readonly wallSeconds: number;
}
