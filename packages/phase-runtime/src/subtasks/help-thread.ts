import type { ThreadPool } from '../host/thread-pool.js';
import type { WorkerThread } from '../host/worker-thread.js';
import { STOP, StopFlag } from '../worker/control.js';
import type { SubtaskEnd, SubtaskInput } from './subtask-messages.js';

/** A thread that computes subtasks of other workers, one after another; what it keeps between them goes with it. */
export class HelpThread {
  private thread: WorkerThread | undefined;
  private current: { readonly flag: StopFlag; end(end: SubtaskEnd): void } | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly threads: ThreadPool,
    private readonly graceMs: number,
  ) {}

  /** Computes a subtask. Never rejects; a thread that ends without a word has failed. */
  compute(input: Omit<SubtaskInput, 'stop'>): Promise<SubtaskEnd> {
    const flag = new StopFlag();
    return new Promise((resolve) => {
      this.current = {
        flag,
        end: (end) => {
          clearTimeout(this.timer);
          this.current = undefined;
          resolve(end);
        },
      };
      this.opened().tell({ ...input, stop: flag.buffer });
    });
  }

  /** Stops what is computed: as soon as the work allows, at the latest when the grace is over. */
  stop(): void {
    if (!this.current || this.current.flag.reason) return;
    this.current.flag.raise(STOP.cancel);
    const { thread } = this;
    this.timer = setTimeout(() => void thread?.terminate(), thread?.isLoaded ? this.graceMs : 0);
  }

  /** Gives the thread back. */
  close(): void {
    const { thread } = this;
    this.thread = undefined;
    if (!thread) return;
    thread.rest();
    this.threads.give(thread, false);
  }

  private opened(): WorkerThread {
    if (this.thread) return this.thread;
    const thread = this.threads.take();
    this.thread = thread;
    thread.help({
      onMessage: (end) => this.current?.end(end),
      onExit: (exitCode) => {
        this.close();
        const wasStopped = this.current?.flag.reason !== undefined;
        this.current?.end(wasStopped ? { kind: 'stopped' } : { kind: 'failed', error: crashed(exitCode) });
      },
    });
    return thread;
  }
}

function crashed(exitCode: number) {
  return {
    name: 'WorkerCrashedError',
    code: 'UNAVAILABLE' as const,
    message: `the thread ended unexpectedly: exit code ${exitCode}`,
    reason: 'WORKER_CRASHED',
    fieldViolations: [],
    stack: undefined,
  };
}
