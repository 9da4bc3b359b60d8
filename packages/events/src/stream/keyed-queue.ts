/** Runs tasks of one key one after another, in order; tasks of different keys in parallel. */
export class KeyedQueue {
  private readonly tails = new Map<string, Promise<void>>();

  /** Number of keys with a task that has not ended. */
  get size(): number {
    return this.tails.size;
  }

  /** Runs a task after all earlier ones of its key have ended, however they ended. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key);
    const result = before ? before.then(task) : task();
    const ended = result.then(
      () => undefined,
      () => undefined,
    );
    this.tails.set(key, ended);
    try {
      return await result;
    } finally {
      if (this.tails.get(key) === ended) this.tails.delete(key);
    }
  }
}
