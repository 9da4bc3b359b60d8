import type { JsonValue } from '@bufbuild/protobuf';
import type { SpreadWord } from '../subtasks/subtask-messages.js';
import type { OrderInbox } from './order-inbox.js';
import type { SpreadWork, StepPart } from './phase-context.js';
import { MalformedAnswerError } from './worker.errors.js';

/** What spreading needs of the thread. */
export interface SpreadHost {
  /** Tells these subtasks from those that the thread had computed before. */
  readonly batch: number;
  say(word: SpreadWord): void;
  /** Absent when nobody else can compute anything. */
  readonly orders: OrderInbox | undefined;
  /** Throws when the work has to end without a checkpoint. */
  throwIfAborted(): void;
}

/**
 * Has every subtask computed once, here or elsewhere, and hands each answer over once, in no certain order. An answer of
 * another worker can arrive when its subtask has just been computed here, and lie there when the next batch begins: what
 * belongs to an earlier batch is dropped.
 */
export async function spreadSubtasks(
  parts: readonly StepPart[],
  work: SpreadWork,
  host: SpreadHost,
): Promise<void> {
  if (parts.length === 0) return;
  const { orders, batch } = host;
  const answers = new Answers(parts, work);
  if (!orders) {
    for (const index of parts.keys()) await answers.compute(index);
    return;
  }
  const subtasks = parts.map(({ content, key }) => ({ json: JSON.stringify(content), key }));
  host.say({ kind: 'spread', batch, subtasks, memoryBytes: work.memoryBytes });
  try {
    while (answers.missing > 0) {
      const order = await orders.next();
      if (order.kind !== 'stop' && order.batch !== batch) continue;
      if (order.kind === 'compute') {
        const json = await answers.compute(order.index);
        host.say({ kind: 'computed', index: order.index, json });
      } else if (order.kind === 'answer') {
        const isAccepted = await answers.take(order.index, order.json);
        host.say({ kind: isAccepted ? 'accepted' : 'refused', index: order.index });
      }
      host.throwIfAborted();
    }
  } finally {
    host.say({ kind: 'withdrawn' });
  }
}

/** What is answered, and what is not. */
class Answers {
  private readonly unanswered: Set<number>;

  constructor(
    private readonly parts: readonly StepPart[],
    private readonly work: SpreadWork,
  ) {
    this.unanswered = new Set(parts.keys());
  }

  get missing(): number {
    return this.unanswered.size;
  }

  /** Computes one here. Its answer goes through JSON, as those of others do. */
  async compute(index: number): Promise<string> {
    const { content } = this.parts[index] as StepPart;
    const json = JSON.stringify(await this.work.compute(content, index));
    if (!(await this.take(index, json))) throw new MalformedAnswerError();
    return json;
  }

  /** @returns whether the answer is one, or comes too late to matter */
  async take(index: number, json: string): Promise<boolean> {
    if (!this.unanswered.has(index)) return true;
    if (!(await this.work.accept(index, JSON.parse(json) as JsonValue))) return false;
    this.unanswered.delete(index);
    return true;
  }
}
