import { BatchCursor, type BatchCursorState, type BatchSource, type TokenBatch } from '@agentforge/model';
import type { Philox } from '@agentforge/tensor';
import type { CognateConfig } from './cognate-config.js';

/**
 * Tokens per row at a step: rows begin short and double until they have their full length.
 * @param step  counted over the whole schedule, from 0
 */
export function rowLengthAt(step: number, full: number, curriculum: CognateConfig['curriculum']): number {
  if (!curriculum || step >= curriculum.steps || curriculum.sequence_length >= full) return full;
  const stages = Math.ceil(Math.log2(full / curriculum.sequence_length));
  const stage = Math.floor((step * stages) / curriculum.steps);
  return Math.min(full, curriculum.sequence_length * 2 ** stage);
}

/** What a `RowSchedule` draws from. */
export interface RowScheduleOptions {
  readonly sources: readonly BatchSource[];
  /** Tokens per row after the curriculum. */
  readonly length: number;
  /** Rows of that length; shorter ones are more, so that a batch keeps its tokens. */
  readonly batchSize: number;
  readonly curriculum: CognateConfig['curriculum'];
  /** Named after the model; not advanced. */
  readonly seed: Philox;
}

/** Batches whose rows get longer. Each length has an order of its own; the state is that of the current length. */
export class RowSchedule {
  private cursor: BatchCursor;

  /** @throws CorpusTooSmallError  INVALID_ARGUMENT: a source is shorter than a row */
  constructor(private readonly options: RowScheduleOptions) {
    this.cursor = this.cursorOf(options.length);
  }

  /** The next batch. @param step  counted over the whole schedule, from 0 */
  next(step: number): TokenBatch {
    const { length, curriculum } = this.options;
    const wanted = rowLengthAt(step, length, curriculum);
    if (this.cursor.length !== wanted) this.cursor = this.cursorOf(wanted);
    return this.cursor.next();
  }

  state(): BatchCursorState {
    return this.cursor.state();
  }

  /** @throws BatchStateError  INVALID_ARGUMENT: the state is of something else */
  restore(state: BatchCursorState): void {
    this.cursor = this.cursorOf(state.length);
    this.cursor.restore(state);
  }

  private cursorOf(rowLength: number): BatchCursor {
    const { sources, length, batchSize, seed } = this.options;
    return new BatchCursor(sources, {
      batchSize: Math.max(1, Math.round((batchSize * length) / rowLength)),
      length: rowLength,
      seed: rowLength === length ? seed : seed.stream(`rows:${rowLength}`),
    });
  }
}
