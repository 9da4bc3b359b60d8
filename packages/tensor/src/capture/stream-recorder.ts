import type { Handle } from '@agentforge/native';
import { empty } from '../create.js';
import type { Tensor } from '../tensor.js';

/** What the recorder needs of a random stream. */
interface Stream {
  reserve(count: number): { readonly blockLow: number; readonly blockHigh: number };
}

/** A stream that a captured step draws from. */
interface Recorded {
  /** i32[2], the block that the step starts at: what the device adds to the numbers in the recording. */
  readonly base: Tensor;
  /** Where the stream stood when the step was recorded. */
  readonly start: number;
  /** One past the last block that the step took. */
  end: number;
}

const WORDS_PER_BLOCK = 4;
const TWO_32 = 0x1_0000_0000;

/**
 * The random streams of one captured step. Blocks are numbered from where a stream stands when the step starts, and that
 * number is in device memory: a replay draws what the step would have drawn, had it run.
 */
export class StreamRecorder {
  private readonly streams = new Map<Stream, Recorded>();
  private isFirst = true;

  /** The number that a stream's blocks count from, and where the device finds it. */
  place(stream: Stream, first: number, end: number): { readonly block: number; readonly base: Handle } {
    let recorded = this.streams.get(stream);
    if (recorded === undefined) {
      recorded = { base: empty([2], { dtype: 'i32' }).keep(), start: first, end };
      this.streams.set(stream, recorded);
    }
    recorded.end = end;
    return { block: recorded.start, base: recorded.base.handle };
  }

  /** Moves every stream on by what the step takes, and tells the device where it starts. Before each replay. */
  advance(): void {
    for (const [stream, { base, start, end }] of this.streams) {
      // Recording has moved the streams already.
      const { blockLow, blockHigh } = this.isFirst
        ? { blockLow: start % TWO_32, blockHigh: Math.floor(start / TWO_32) }
        : stream.reserve((end - start) * WORDS_PER_BLOCK);
      base.write(Int32Array.of(blockLow, blockHigh));
    }
    this.isFirst = false;
  }

  dispose(): void {
    for (const { base } of this.streams.values()) base.dispose();
    this.streams.clear();
  }
}

let current: StreamRecorder | null = null;

/** That of the step which is being recorded on this thread; null outside. */
export function streamRecorder(): StreamRecorder | null {
  return current;
}

/** Runs `fn` while a recorder takes note of random streams. */
export function recordStreams<T>(recorder: StreamRecorder, fn: () => T): T {
  current = recorder;
  try {
    return fn();
  } finally {
    current = null;
  }
}
