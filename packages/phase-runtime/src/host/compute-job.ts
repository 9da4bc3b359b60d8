import { Worker } from 'node:worker_threads';
import { AppError, type FieldViolation } from '@agentforge/errors';
import { STOP, StopFlag, type StopReason } from '../worker/control.js';
import type { ErrorMessage, WorkerInput, WorkerMessage, WorkerResult } from '../worker/messages.js';
import { toAppError } from '../worker/system-error.js';

/** How long a worker may take to end by itself before its thread is terminated. */
export interface StopGrace {
  /** After a cancellation or when the attempt is stale. */
  readonly abortMs: number;
  /** After a release: time to reach the next safe point and store a checkpoint. */
  readonly releaseMs: number;
}

/** How a computation ended. */
export type JobEnd =
  | { readonly kind: 'succeeded'; readonly result: WorkerResult }
  | { readonly kind: 'stopped'; readonly reason: StopReason }
  | { readonly kind: 'failed'; readonly error: AppError };

/** A worker thread that ended without a word. */
export class WorkerCrashedError extends AppError {
  constructor(problem: string, cause?: unknown) {
    super('UNAVAILABLE', `the compute worker ended unexpectedly: ${problem}`, {
      reason: 'WORKER_CRASHED',
      cause,
    });
  }
}

/** A failure that a worker thread reported. */
class ReportedError extends AppError {
  constructor(error: ErrorMessage) {
    const fieldViolations: readonly FieldViolation[] = error.fieldViolations;
    super(error.code, error.message, {
      fieldViolations,
      ...(error.reason === undefined ? {} : { reason: error.reason }),
    });
    this.name = error.name;
    if (error.stack !== undefined) this.stack = error.stack;
  }
}

/** One computation in its own worker thread. */
export class ComputeJob {
  /** Resolves when the thread is gone; never rejects. */
  readonly ended: Promise<JobEnd>;
  private readonly stopFlag: StopFlag;
  private readonly worker: Worker;
  private timer: NodeJS.Timeout | undefined;
  private end: JobEnd | undefined;

  /**
   * Starts the thread.
   * @param onMessage  called for everything that is not the end; must not throw
   */
  constructor(
    url: URL,
    input: Omit<WorkerInput, 'stop'>,
    private readonly grace: StopGrace,
    private readonly onMessage: (message: WorkerMessage) => void,
  ) {
    this.stopFlag = new StopFlag();
    const workerData: WorkerInput = { ...input, stop: this.stopFlag.buffer };
    this.worker = new Worker(url, { workerData, name: `phase-${input.phase}`, execArgv: [] });
    this.ended = new Promise((resolve) => {
      this.worker.on('message', (message: WorkerMessage) => this.receive(message));
      this.worker.on('error', (error) => this.settle(crash(error)));
      this.worker.on('exit', (code) => {
        clearTimeout(this.timer);
        resolve(this.end ?? this.stoppedOrCrashed(code));
      });
    });
  }

  /**
   * Asks the computation to stop, and terminates its thread when it does not within the grace. A stronger reason
   * (cancel after release, abandon after cancel) replaces a weaker one.
   */
  stop(reason: StopReason): void {
    const before = this.stopFlag.reason;
    this.stopFlag.raise(reason);
    const now = this.stopFlag.reason;
    if (now === before || now === undefined) return;
    clearTimeout(this.timer);
    const graceMs = now === STOP.release ? this.grace.releaseMs : this.grace.abortMs;
    this.timer = setTimeout(() => void this.worker.terminate(), graceMs);
  }

  private receive(message: WorkerMessage): void {
    if (message.kind === 'succeeded') this.settle({ kind: 'succeeded', result: message.result });
    else if (message.kind === 'stopped') this.settle({ kind: 'stopped', reason: message.reason });
    else if (message.kind === 'failed')
      this.settle({ kind: 'failed', error: new ReportedError(message.error) });
    else this.onMessage(message);
  }

  private settle(end: JobEnd): void {
    this.end ??= end;
  }

  private stoppedOrCrashed(exitCode: number): JobEnd {
    const reason = this.stopFlag.reason;
    if (reason) return { kind: 'stopped', reason };
    return { kind: 'failed', error: new WorkerCrashedError(`exit code ${exitCode}`) };
  }
}

function crash(thrown: unknown): JobEnd {
  const error = toAppError(thrown);
  return {
    kind: 'failed',
    error: error.code === 'RESOURCE_EXHAUSTED' ? error : new WorkerCrashedError(error.message, thrown),
  };
}
