import { AppError, type FieldViolation } from '@agentforge/errors';
import type { SpreadOrder } from '../subtasks/subtask-messages.js';
import { STOP, StopFlag, type StopReason } from '../worker/control.js';
import type { ErrorMessage } from '../worker/error-message.js';
import type { WorkerInput, WorkerMessage, WorkerResult } from '../worker/messages.js';
import { toAppError } from '../worker/system-error.js';
import { LONG_WORK_MS, type ThreadPool } from './thread-pool.js';
import type { WorkerThread } from './worker-thread.js';

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

/** One computation in a worker thread that does nothing else meanwhile. */
export class ComputeJob {
  /** Resolves when the computation has ended; never rejects. */
  readonly ended: Promise<JobEnd>;
  private readonly stopFlag = new StopFlag();
  private readonly thread: WorkerThread;
  private readonly beganMs = performance.now();
  private timer: NodeJS.Timeout | undefined;
  private resolve: (end: JobEnd) => void = () => undefined;
  private hasEnded = false;

  /**
   * Starts the computation.
   * @param onMessage  called for everything that is not the end; must not throw
   */
  constructor(
    private readonly threads: ThreadPool,
    input: Omit<WorkerInput, 'stop'>,
    private readonly grace: StopGrace,
    private readonly onMessage: (message: WorkerMessage) => void,
  ) {
    this.ended = new Promise((resolve) => {
      this.resolve = resolve;
    });
    this.thread = threads.take();
    this.thread.work(
      { ...input, stop: this.stopFlag.buffer },
      {
        onMessage: (message) => this.receive(message),
        onExit: (exitCode, error) => this.end(this.stoppedOrCrashed(exitCode, error)),
      },
    );
  }

  /**
   * Asks the computation to stop, and terminates its thread when it does not within the grace: at once while the thread
   * still loads, because nothing has begun. A stronger reason (cancel after release, abandon after cancel) replaces a
   * weaker one.
   */
  stop(reason: StopReason): void {
    if (this.hasEnded) return;
    const before = this.stopFlag.reason;
    this.stopFlag.raise(reason);
    const now = this.stopFlag.reason;
    if (now === before || now === undefined) return;
    // Wakes a thread that waits for the answers of others.
    this.thread.tell({ kind: 'stop' });
    clearTimeout(this.timer);
    const graceMs = now === STOP.release ? this.grace.releaseMs : this.grace.abortMs;
    if (this.thread.isLoaded) this.timer = setTimeout(() => void this.thread.terminate(), graceMs);
    else void this.thread.terminate();
  }

  /** Says something to the work. */
  tell(order: SpreadOrder): void {
    if (!this.hasEnded) this.thread.tell(order);
  }

  private receive(message: WorkerMessage): void {
    if (message.kind === 'succeeded') this.end({ kind: 'succeeded', result: message.result });
    else if (message.kind === 'stopped') this.end({ kind: 'stopped', reason: message.reason });
    else if (message.kind === 'failed') this.end({ kind: 'failed', error: new ReportedError(message.error) });
    else if (!this.hasEnded) this.onMessage(message);
  }

  private end(end: JobEnd): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    clearTimeout(this.timer);
    this.thread.rest();
    const wasShort = end.kind === 'succeeded' && performance.now() - this.beganMs < LONG_WORK_MS;
    this.threads.give(this.thread, wasShort);
    this.resolve(end);
  }

  private stoppedOrCrashed(exitCode: number, error: unknown): JobEnd {
    if (error !== undefined) return crash(error);
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
