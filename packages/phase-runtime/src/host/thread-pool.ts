import { WorkerThread } from './worker-thread.js';

/** How threads are kept. */
export interface ThreadPoolOptions {
  /** Threads that work or wait, together, as long as there are not more tasks than that. */
  readonly size: number;
  /** Tasks after which a thread is replaced; 1 for a new thread for each. */
  readonly tasksPerThread: number;
}

/**
 * Work that took longer than this ends its thread, ms: the memory of long work goes back for sure, and beside it the
 * start of another thread costs nothing.
 */
export const LONG_WORK_MS = 1_000;

/**
 * Threads that have loaded the modules of a phase before a task comes, so that it begins at once. A thread works on one
 * task at a time, and on another one only after a short success: a thread whose task failed, was stopped or took long is
 * replaced, and so is each after some tasks. A thread that ends by itself hurts its own task only.
 */
export class ThreadPool {
  private readonly waiting: WorkerThread[] = [];
  private readonly working = new Set<WorkerThread>();
  private isClosed = false;

  constructor(
    private readonly url: URL,
    private readonly name: string,
    private readonly options: ThreadPoolOptions,
  ) {}

  /** Threads that wait for a task, and those that have one. */
  get counts(): { readonly waiting: number; readonly working: number } {
    return { waiting: this.waiting.length, working: this.working.size };
  }

  /** Starts threads up to the size, in the background. */
  fill(): void {
    this.forgetGone();
    while (!this.isClosed && this.waiting.length + this.working.size < this.options.size)
      this.waiting.push(new WorkerThread(this.url, this.name));
  }

  /** A thread for one task: the one that waited longest, else a new one. */
  take(): WorkerThread {
    this.forgetGone();
    const thread = this.waiting.shift() ?? new WorkerThread(this.url, this.name);
    this.working.add(thread);
    return thread;
  }

  /**
   * Takes a thread back whose task has ended.
   * @param wasShort  its work succeeded within {@link LONG_WORK_MS}
   */
  give(thread: WorkerThread, wasShort: boolean): void {
    this.working.delete(thread);
    const isReused =
      wasShort &&
      !this.isClosed &&
      !thread.isGone &&
      thread.tasks < this.options.tasksPerThread &&
      this.waiting.length + this.working.size < this.options.size;
    if (isReused) this.waiting.push(thread);
    else if (!thread.isGone) void thread.terminate();
    this.fill();
  }

  /** Ends the threads that wait; those that work end with their tasks. */
  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all(this.waiting.splice(0).map((thread) => thread.terminate()));
  }

  private forgetGone(): void {
    for (let i = this.waiting.length - 1; i >= 0; i--) if (this.waiting[i]?.isGone) this.waiting.splice(i, 1);
  }
}
