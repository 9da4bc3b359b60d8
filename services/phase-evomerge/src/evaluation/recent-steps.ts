/** What was opened last, by key: a bounded number, least recently used first out. */
export class RecentSteps<Step> {
  private readonly steps = new Map<string, Step>();

  /** @param size  most that are kept, ≥ 1 */
  constructor(private readonly size: number) {}

  /** The step of a key; opens it, and first makes room for it, when it is not there. */
  async get(key: string, open: () => Promise<Step>): Promise<Step> {
    let step = this.steps.get(key);
    if (step === undefined) {
      const [oldest] = this.steps.keys();
      if (this.steps.size >= this.size && oldest !== undefined) this.steps.delete(oldest);
      step = await open();
    }
    this.steps.delete(key);
    this.steps.set(key, step);
    return step;
  }
}
