import type { StopGrace } from './compute-job.js';

/** How a phase service executes tasks. */
export interface RuntimeOptions {
  /** Name of this worker: unique among replicas. */
  readonly workerId: string;
  readonly artifactDirectory: string;
  /** Tasks executed at once. */
  readonly concurrency: number;
  /** What computes. */
  readonly device: 'cpu' | 'cuda';
  /** The same with its instruction set, for example `cpu-avx512`: workers that differ in it round differently. */
  readonly backend: string;
  /** Threads that compute subtasks of other workers, within the concurrency; 0 for none. */
  readonly subtaskConcurrency: number;
  /** Whether answers of subtasks are kept, and earlier ones taken. */
  readonly keepsAnswers: boolean;
  /** Most memory that such a subtask may take, in bytes. */
  readonly subtaskMemoryBytes: number;
  /** Tasks after which a worker thread is replaced. */
  readonly tasksPerThread: number;
  /** Threads of the compute pool of one task. */
  readonly threads: number;
  /** Time between two heartbeats of a task. */
  readonly heartbeatMs: number;
  /** Work after which a checkpoint is due, when the phase's configuration does not say. */
  readonly checkpointIntervalMs: number;
  readonly grace: StopGrace;
  /** Time after which a task whose worker died is delivered again. */
  readonly ackWaitMs: number;
}
