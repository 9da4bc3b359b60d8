import { WorkerThread } from './worker-thread.js';

/** How threads are kept. */
export interface ThreadPoolOptions {
  /** Threads that work or wait, together, as long as there are not more tasks than that; a successor that loads is one more. */
  readonly size: number;
  /** Tasks after which a thread is replaced, as soon as its successor is loaded; 1 for a new thread for each. */
  readonly tasksPerThread: number;
}

/**
 * Work that took longer than this ends its thread, ms: the memory of long work goes back for sure, and beside it the
 * start of another thread costs nothing.
 */
export const LONG_WORK_MS = 1_000;

/** How much longer than usual a thread may go on, at most, while its successor is loading. */
const EXTENSION = 2;

/**
 * Threads that have loaded the modules of a phase before a task comes, so that it begins at once. A thread works on one
 * task at a time, and on another one only after a short success: a thread whose task failed, was stopped or took long is
 * replaced, and so is each after some tasks: no task waits for that, the old thread goes on until the new one is loaded.
 * A thread that ends by itself hurts its own task only.
 */
export class ThreadPool {
  private readonly waiting: WorkerThread[] = [];
  private readonly working = new Set<WorkerThread>();
  /** Loads while the thread that it is to replace still works. */
  private successor: WorkerThread | undefined;
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
    while (!this.isClosed && this.hasRoom()) this.waiting.push(this.newest());
  }

  /** A thread for one task: the one that waited longest, else a new one. */
  take(): WorkerThread {
    this.forgetGone();
    const thread = this.waiting.shift() ?? this.newest();
    this.working.add(thread);
    return thread;
  }

  /**
   * Takes a thread back whose task has ended.
   * @param wasShort  its work succeeded within {@link LONG_WORK_MS}
   */
  give(thread: WorkerThread, wasShort: boolean): void {
    this.working.delete(thread);
    const isReused = wasShort && !this.isClosed && !thread.isGone && this.hasRoom() && !this.makesWay(thread);
    if (isReused) this.waiting.push(thread);
    else if (!thread.isGone) void thread.terminate();
    this.fill();
  }

  /** Ends the threads that wait; those that work end with their tasks. */
  async close(): Promise<void> {
    this.isClosed = true;
    const idle = this.waiting.splice(0);
    if (this.successor !== undefined) idle.push(this.newest());
    await Promise.all(idle.map((thread) => thread.terminate()));
  }

  private hasRoom(): boolean {
    return this.waiting.length + this.working.size < this.options.size;
  }

  /** Whether a thread has done its share and its successor is loaded; the successor starts to load when it has done it. */
  private makesWay({ tasks }: WorkerThread): boolean {
    const { tasksPerThread } = this.options;
    if (tasks < tasksPerThread) return false;
    if (tasksPerThread === 1 || tasks >= EXTENSION * tasksPerThread) return true;
    this.successor ??= new WorkerThread(this.url, this.name);
    return this.successor.isLoaded;
  }

  /** The successor when there is one, else a thread that has to load first. */
  private newest(): WorkerThread {
    const thread = this.successor ?? new WorkerThread(this.url, this.name);
    this.successor = undefined;
    return thread;
  }

  private forgetGone(): void {
    if (this.successor?.isGone) this.successor = undefined;
    for (let i = this.waiting.length - 1; i >= 0; i--) if (this.waiting[i]?.isGone) this.waiting.splice(i, 1);
  }
}
