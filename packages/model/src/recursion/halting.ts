import {
  abs,
  add,
  addScalar,
  concat,
  exp,
  gatherRows,
  Linear,
  log,
  Module,
  mul,
  neg,
  parameter,
  relu,
  reshape,
  sub,
  sum,
  type Tensor,
  tensor,
  zerosInit,
} from '@agentforge/tensor';

/** First bias: nothing is sure of itself before it has learnt. */
const FIRST_BIAS = -5;

/** How long positions reasoned. */
export interface Ponder {
  readonly positions: number;
  /** Supervision steps per position until it halted, or all of them. */
  readonly meanSteps: number;
  /** Share of positions whose probability passed the threshold. */
  readonly haltedShare: number;
}

/** The halting head: how probable it is that the answer at a position is right. */
export class HaltingHead extends Module {
  readonly halt: Linear;

  /** @param width  d */
  constructor(width: number) {
    super();
    this.halt = new Linear(width, 1, { init: zerosInit, bias: parameter(tensor([FIRST_BIAS])) });
  }

  /** @param answer  f32 [B, T, d] @returns log-odds, f32 [B · T] */
  forward(answer: Tensor): Tensor {
    return reshape(this.halt.forward(answer), [-1]);
  }

  /**
   * Moves all probabilities so that one of `from` becomes `to`: what passed the threshold `from` passes `to` now, and
   * nothing else does.
   */
  moveThreshold(from: number, to: number): void {
    const { bias } = this.halt;
    if (bias === null || from === to) return;
    bias.write(Float32Array.of(bias.item() + logOdds(to) - logOdds(from)));
  }
}

/** Collects when positions halt, and picks the answers they had then. */
export class HaltingRecord {
  private readonly answers: Tensor[] = [];
  private readonly haltedAt: Int32Array;

  /** @param positions  B · T */
  constructor(
    private readonly positions: number,
    private readonly threshold: number,
  ) {
    this.haltedAt = new Int32Array(positions).fill(-1);
  }

  /** Whether every position has halted. */
  get isComplete(): boolean {
    return !this.haltedAt.includes(-1);
  }

  /**
   * The answers of one more step.
   * @param answer   f32 [B, T, d]
   * @param logOdds  of being right, [B · T]
   */
  push(answer: Tensor, logOdds: ArrayLike<number>): void {
    const step = this.answers.push(answer) - 1;
    for (let i = 0; i < this.positions; i++) {
      if (this.haltedAt[i] === -1 && 1 / (1 + Math.exp(-(logOdds[i] ?? 0))) > this.threshold)
        this.haltedAt[i] = step;
    }
  }

  /** Each position's answer of the step at which it halted, or the last one, f32 [B, T, d]. */
  answer(): Tensor {
    const [first] = this.answers;
    if (first === undefined) throw new RangeError('no step was taken');
    if (this.answers.length === 1) return first;
    const width = first.shape.at(-1) ?? 0;
    const rows = reshape(concat(this.answers, 0), [-1, width]);
    const index = this.lastSteps().map((step, i) => step * this.positions + i);
    return reshape(gatherRows(rows, tensor(index)), first.shape);
  }

  ponder(): Ponder {
    const steps = this.lastSteps().reduce((all, step) => all + step + 1, 0);
    const halted = this.haltedAt.reduce((count, step) => count + (step >= 0 ? 1 : 0), 0);
    const { positions } = this;
    return { positions, meanSteps: steps / positions, haltedShare: halted / positions };
  }

  private lastSteps(): Int32Array {
    const last = this.answers.length - 1;
    return this.haltedAt.map((step) => (step < 0 ? last : step));
  }
}

/** Statistics of several passes together; null of none. */
export function joinPonder(passes: readonly Ponder[]): Ponder | null {
  const positions = passes.reduce((all, one) => all + one.positions, 0);
  if (positions === 0) return null;
  const mean = (of: (one: Ponder) => number): number =>
    passes.reduce((all, one) => all + of(one) * one.positions, 0) / positions;
  return { positions, meanSteps: mean((one) => one.meanSteps), haltedShare: mean((one) => one.haltedShare) };
}

/**
 * Mean binary cross entropy of log-odds q against what was right: relu(q) − q t + ln(1 + e^−|q|).
 * @param q        f32 [n]
 * @param isRight  [n]
 * @param counts   [n], whether a position counts
 * @returns        [1], nats; zero when none counts
 */
export function haltingLoss(q: Tensor, isRight: readonly boolean[], counts: readonly boolean[]): Tensor {
  const counted = counts.filter(Boolean).length;
  const weights = tensor(counts.map((count) => (count ? 1 / counted : 0)));
  const right = tensor(isRight.map(Number));
  const nats = add(sub(relu(q), mul(q, right)), log(addScalar(exp(neg(abs(q))), 1)));
  return sum(mul(nats, weights));
}

function logOdds(probability: number): number {
  return Math.log(probability / (1 - probability));
}
