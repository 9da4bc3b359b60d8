import { Philox, type PhiloxState } from '@agentforge/tensor';
import { BatchStateError } from './batch-cursor.errors.js';
import { CorpusTooSmallError } from './corpus.errors.js';
import { streamBytes, type TokenStream } from './token-stream.js';

/** A batch for next-token prediction, row-major [batchSize, length]. */
export interface TokenBatch {
  readonly inputs: Int32Array;
  /** `targets[i]` is the token after `inputs[i]`. */
  readonly targets: Int32Array;
  readonly batchSize: number;
  readonly length: number;
  /** UTF-8 bytes of the targets. */
  readonly bytes: number;
}

/** Something to draw rows from, with its share of the rows. */
export interface BatchSource {
  /** Distinct among the sources of a cursor; names its random stream. */
  readonly name: string;
  readonly stream: TokenStream;
  /** Relative share of rows, ≥ 0. Default 1. */
  readonly weight?: number;
}

/** Settings of a `BatchCursor`. */
export interface BatchOptions {
  readonly batchSize: number;
  readonly length: number;
  /** Not advanced: the cursor derives streams of its own. */
  readonly seed: Philox;
}

/** Where a cursor stands, as plain JSON. */
export interface BatchCursorState {
  readonly batchSize: number;
  readonly length: number;
  /** Generator that picks the source of each row. */
  readonly mix: PhiloxState;
  readonly sources: readonly {
    readonly name: string;
    readonly tokens: number;
    readonly epoch: number;
    readonly position: number;
  }[];
}

/**
 * Endless batches in a seeded order. Each source is cut into windows of `length` tokens at a random phase, and the
 * windows of an epoch come in random order, each once. Rows are drawn from the sources by weight. The state is a few
 * numbers: a cursor restored from it goes on with the same batches.
 */
export class BatchCursor {
  readonly batchSize: number;
  readonly length: number;
  private readonly sources: readonly SourceCursor[];
  private readonly weights: Float64Array;
  private mix: Philox;

  /** @throws CorpusTooSmallError  INVALID_ARGUMENT: every source with fewer than length + 1 tokens */
  constructor(sources: readonly BatchSource[], { batchSize, length, seed }: BatchOptions) {
    const violations = sources
      .filter(({ stream }) => stream.tokens.length < length + 1)
      .map(({ name, stream }) => ({
        field: name,
        description: `${stream.tokens.length} tokens; one row needs ${length} + 1`,
      }));
    if (sources.length === 0) violations.push({ field: 'sources', description: 'there is none' });
    if (violations.length > 0) throw new CorpusTooSmallError(violations);
    this.batchSize = batchSize;
    this.length = length;
    this.sources = sources.map(
      ({ name, stream }) => new SourceCursor(name, stream, length, seed.stream(`source:${name}`)),
    );
    this.weights = Float64Array.from(sources, ({ weight }) => weight ?? 1);
    this.mix = seed.stream('mix');
  }

  /** Passes over the first source begun so far, minus one. */
  get epoch(): number {
    return this.sources[0]?.epoch ?? 0;
  }

  /** The next batch. */
  next(): TokenBatch {
    const { batchSize, length } = this;
    const inputs = new Int32Array(batchSize * length);
    const targets = new Int32Array(batchSize * length);
    let bytes = 0;
    for (let row = 0; row < batchSize; row++) {
      const source = this.sources[this.sources.length === 1 ? 0 : this.mix.choice(this.weights)];
      if (source === undefined) continue;
      const start = source.nextStart();
      const { tokens } = source.stream;
      inputs.set(tokens.subarray(start, start + length), row * length);
      targets.set(tokens.subarray(start + 1, start + length + 1), row * length);
      bytes += streamBytes(source.stream, start + 1, start + length + 1);
    }
    return { inputs, targets, batchSize, length, bytes };
  }

  state(): BatchCursorState {
    return {
      batchSize: this.batchSize,
      length: this.length,
      mix: this.mix.state,
      sources: this.sources.map((source) => source.state()),
    };
  }

  /**
   * Continues where a cursor with the same sources, seed and sizes stood.
   * @throws BatchStateError  INVALID_ARGUMENT: the state is of a cursor over something else
   */
  restore(state: BatchCursorState): void {
    const differs: string[] = [];
    if (state.batchSize !== this.batchSize) differs.push(`batchSize ${state.batchSize} ≠ ${this.batchSize}`);
    if (state.length !== this.length) differs.push(`length ${state.length} ≠ ${this.length}`);
    const describe = (list: readonly { name: string; tokens: number }[]): string =>
      list.map(({ name, tokens }) => `${name} (${tokens} tokens)`).join(', ');
    const ours = describe(this.state().sources);
    const theirs = describe(state.sources);
    if (ours !== theirs) differs.push(`sources ${theirs} ≠ ${ours}`);
    if (differs.length > 0) throw new BatchStateError(differs);
    this.sources.forEach((source, i) => {
      const saved = state.sources[i];
      if (saved !== undefined) source.restore(saved.epoch, saved.position);
    });
    this.mix = Philox.fromState(state.mix);
  }
}

/** Walks over the windows of one source. */
class SourceCursor {
  epoch = 0;
  private position = 0;
  private phase = 0;
  private order: Int32Array = new Int32Array(0);

  constructor(
    private readonly name: string,
    readonly stream: TokenStream,
    private readonly length: number,
    private readonly seed: Philox,
  ) {
    this.restore(0, 0);
  }

  nextStart(): number {
    if (this.position >= this.order.length) this.restore(this.epoch + 1, 0);
    const window = this.order[this.position++] ?? 0;
    return this.phase + window * this.length;
  }

  state(): BatchCursorState['sources'][number] {
    return { name: this.name, tokens: this.stream.tokens.length, epoch: this.epoch, position: this.position };
  }

  restore(epoch: number, position: number): void {
    const rng = this.seed.stream(`epoch:${epoch}`);
    const lastStart = this.stream.tokens.length - 1 - this.length;
    this.phase = rng.integer(Math.min(this.length, lastStart + 1));
    this.order = rng.permutation(Math.floor((lastStart - this.phase) / this.length) + 1);
    this.epoch = epoch;
    this.position = position;
  }
}
