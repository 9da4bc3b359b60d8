/** A step as the naive engine keeps it. */
interface NaiveStep {
  readonly id: string;
  readonly waitsFor: readonly string[];
  state: 'PENDING' | 'READY' | 'RUNNING' | 'COMPLETED' | 'FAILED' | 'BLOCKED' | 'CANCELLED';
  attempts: number;
  failed: number;
  /** Earliest time of the next attempt, ms. */
  notBeforeMs: number;
  /** A worker has the attempt; it last said something then, ms. */
  heardMs: number | undefined;
}

/** Two tries, 100 ms apart; a worker may be silent for a second. What the stories' steps ask for. */
export const NAIVE_POLICY = { maxAttempts: 2, waitMs: 100, heartbeatMs: 1_000 };

const LOST = ['FAILED', 'BLOCKED', 'CANCELLED'];

/**
 * The scheduler as one would write it on a page: looks at every step after every move until nothing changes any more;
 * no events, no indices, no batches. What `decide` must agree with.
 */
export class NaiveEngine {
  state = 'PENDING';
  nowMs: number;
  readonly steps: NaiveStep[];
  #wasScheduled = false;

  constructor(
    graph: readonly { readonly id: string; readonly after: readonly string[] }[],
    private readonly limit: number,
    nowMs: number,
  ) {
    this.nowMs = nowMs;
    this.steps = graph.map(({ id, after }) => ({
      id,
      waitsFor: after,
      state: 'PENDING',
      attempts: 0,
      failed: 0,
      notBeforeMs: 0,
      heardMs: undefined,
    }));
    this.#settle();
  }

  /** Everything that is to be compared. */
  summary() {
    const steps = this.steps.map(({ id, state, attempts, failed }) => `${id} ${state} ${attempts} ${failed}`);
    return { state: this.state, steps };
  }

  start(id: string): void {
    this.#withAttempt(id, () => undefined);
  }

  succeed(id: string): void {
    this.#withAttempt(id, (step) => {
      step.state = this.state === 'CANCELLING' ? 'CANCELLED' : 'COMPLETED';
    });
  }

  fail(id: string, isForGood: boolean): void {
    this.#withAttempt(id, (step) => this.#fail(step, isForGood));
  }

  release(id: string): void {
    this.#withAttempt(id, (step) => {
      step.state = this.state === 'CANCELLING' ? 'CANCELLED' : 'READY';
      step.notBeforeMs = 0;
    });
  }

  pause(): void {
    if (this.state !== 'PENDING' && this.state !== 'RUNNING') return;
    this.state = 'PAUSED';
    for (const step of this.steps)
      if (step.state === 'RUNNING' && step.heardMs === undefined) {
        step.state = 'READY';
        step.notBeforeMs = 0;
      }
    this.#settle();
  }

  resume(): void {
    if (this.state === 'PAUSED') this.state = this.#wasScheduled ? 'RUNNING' : 'PENDING';
    this.#settle();
  }

  cancel(): void {
    if (!this.#hasEnded()) this.state = 'CANCELLING';
    this.#settle();
  }

  wait(ms: number): void {
    this.nowMs += ms;
    for (const step of this.steps)
      if (step.state === 'RUNNING' && step.heardMs !== undefined) {
        if (this.nowMs - step.heardMs > NAIVE_POLICY.heartbeatMs) this.#fail(step, false);
      }
    this.#settle();
  }

  /** A report: the worker is heard, then what it says counts, if the attempt is still there. */
  #withAttempt(id: string, change: (step: NaiveStep) => void): void {
    const step = this.steps.find((one) => one.id === id);
    if (step?.state !== 'RUNNING' || this.#hasEnded()) return;
    step.heardMs ??= this.nowMs;
    change(step);
    this.#settle();
  }

  #fail(step: NaiveStep, isForGood: boolean): void {
    if (this.state === 'CANCELLING') {
      step.state = 'CANCELLED';
      return;
    }
    step.failed += 1;
    const isLast = isForGood || step.failed >= NAIVE_POLICY.maxAttempts;
    step.state = isLast ? 'FAILED' : 'READY';
    step.notBeforeMs = this.nowMs + NAIVE_POLICY.waitMs;
  }

  #settle(): void {
    while (this.#advance());
    if (this.#hasEnded() || this.steps.some(({ state }) => state !== 'COMPLETED' && !LOST.includes(state)))
      return;
    const isComplete = this.steps.every(({ state }) => state === 'COMPLETED');
    this.state = this.state === 'CANCELLING' ? 'CANCELLED' : isComplete ? 'COMPLETED' : 'FAILED';
  }

  /** The first step that can go on does. @returns whether there was one */
  #advance(): boolean {
    if (this.#hasEnded()) return false;
    const stateOf = (id: string) => this.steps.find((step) => step.id === id)?.state ?? '';
    for (const step of this.steps) {
      if (this.state === 'CANCELLING') {
        const isHeld = step.state === 'RUNNING' && step.heardMs !== undefined;
        if (isHeld || step.state === 'COMPLETED' || LOST.includes(step.state)) continue;
        step.state = 'CANCELLED';
        return true;
      }
      if (step.state === 'PENDING') {
        if (step.waitsFor.every((id) => stateOf(id) === 'COMPLETED')) step.state = 'READY';
        else if (step.waitsFor.some((id) => LOST.includes(stateOf(id)))) step.state = 'BLOCKED';
        else continue;
        return true;
      }
    }
    return this.#schedule();
  }

  #schedule(): boolean {
    if (this.state !== 'PENDING' && this.state !== 'RUNNING') return false;
    if (this.steps.filter(({ state }) => state === 'RUNNING').length >= this.limit) return false;
    const next = this.steps.find(({ state, notBeforeMs }) => state === 'READY' && notBeforeMs <= this.nowMs);
    if (!next) return false;
    Object.assign(next, { state: 'RUNNING', attempts: next.attempts + 1, heardMs: undefined });
    this.state = 'RUNNING';
    this.#wasScheduled = true;
    return true;
  }

  #hasEnded(): boolean {
    return ['COMPLETED', 'FAILED', 'CANCELLED'].includes(this.state);
  }
}
