import { Philox } from '@agentforge/tensor';
import { byteTokenizer } from '../tokenizer/byte-tokenizer.js';
import { BatchCursor, type BatchOptions } from './batch-cursor.js';
import { splitOf } from './split.js';
import {
  encodeSplit,
  requireCorpusSize,
  streamBytes,
  type TokenStream,
  unigramEntropy,
} from './token-stream.js';

/** A stream whose token at i is offset + i, each of one byte. */
function counting(length: number, offset = 0): TokenStream {
  return {
    tokens: Int32Array.from({ length }, (_, i) => offset + i),
    bytesOfId: new Int32Array(offset + length).fill(1),
  };
}

const OPTIONS: BatchOptions = { batchSize: 3, length: 8, seed: new Philox(5) };

describe('BatchCursor', () => {
  it('gives targets that follow the inputs', () => {
    const { inputs, targets, bytes } = new BatchCursor(
      [{ name: 'a', stream: counting(200) }],
      OPTIONS,
    ).next();
    expect([...targets]).toEqual([...inputs].map((token) => token + 1));
    expect(bytes).toBe(24);
  });

  it('visits every window of an epoch once', () => {
    const cursor = new BatchCursor([{ name: 'a', stream: counting(8 * 30 + 1) }], {
      ...OPTIONS,
      batchSize: 1,
    });
    const starts: number[] = [];
    while (cursor.epoch === 0) starts.push(cursor.next().inputs[0] ?? -1);
    starts.pop(); // belongs to the second epoch
    expect(new Set(starts).size).toBe(starts.length);
    expect(starts.length).toBeGreaterThanOrEqual(29);
    expect(new Set(starts.map((start) => start % 8)).size).toBe(1);
    expect(starts).not.toEqual([...starts].sort((a, b) => a - b));
  });

  it('goes on with the same batches after restore()', () => {
    const sources = [
      { name: 'a', stream: counting(100), weight: 2 },
      { name: 'b', stream: counting(50, 1000) },
    ];
    const cursor = new BatchCursor(sources, OPTIONS);
    for (let i = 0; i < 7; i++) cursor.next();
    const saved = JSON.parse(JSON.stringify(cursor.state()));
    const expected = Array.from({ length: 9 }, () => cursor.next());
    const resumed = new BatchCursor(sources, OPTIONS);
    resumed.restore(saved);
    expect(Array.from({ length: 9 }, () => resumed.next())).toEqual(expected);
  });

  it('draws rows by weight', () => {
    const sources = [
      { name: 'a', stream: counting(100), weight: 3 },
      { name: 'b', stream: counting(100, 1000), weight: 1 },
      { name: 'never', stream: counting(100, 5000), weight: 0 },
    ];
    const { inputs } = new BatchCursor(sources, { ...OPTIONS, batchSize: 400, length: 1 }).next();
    const share = inputs.filter((token) => token < 1000).length / 400;
    expect(share).toBeGreaterThan(0.68);
    expect(share).toBeLessThan(0.82);
    expect(inputs.some((token) => token >= 5000)).toBe(false);
  });

  it('depends on the seed', () => {
    const first = (seed: number) =>
      new BatchCursor([{ name: 'a', stream: counting(500) }], { ...OPTIONS, seed: new Philox(seed) }).next();
    expect(first(1)).toEqual(first(1));
    expect(first(1)).not.toEqual(first(2));
  });

  it('works on a stream of exactly one row', () => {
    const { inputs } = new BatchCursor([{ name: 'a', stream: counting(9) }], OPTIONS).next();
    expect([...inputs.subarray(0, 8)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(() => new BatchCursor([{ name: 'a', stream: counting(8) }], OPTIONS)).toThrow(/8 tokens/);
    expect(() => new BatchCursor([], OPTIONS)).toThrow(/there is none/);
  });

  it('refuses a state of other data or sizes, saying what differs', () => {
    const state = new BatchCursor([{ name: 'a', stream: counting(100) }], OPTIONS).state();
    const other = new BatchCursor([{ name: 'a', stream: counting(101) }], { ...OPTIONS, length: 4 });
    expect(() => other.restore(state)).toThrow(/length 8 ≠ 4; sources a \(100 tokens\) ≠ a \(101 tokens\)/);
  });
});

describe('token streams', () => {
  it('ends every document with the end-of-text token, which has no bytes', () => {
    const stream = encodeSplit(byteTokenizer(), splitOf('train', ['ab', 'é']));
    expect([...stream.tokens].map((token) => token === 0)).toEqual([false, false, true, false, false, true]);
    expect(streamBytes(stream)).toBe(4);
    expect(streamBytes(stream, 2, 4)).toBe(1);
  });

  it('unigramEntropy() is ln n for n equally frequent tokens', () => {
    expect(unigramEntropy(Int32Array.of(1, 2, 3, 4))).toBeCloseTo(Math.log(4), 12);
    expect(unigramEntropy(Int32Array.of(7, 7))).toBe(0);
  });

  it('requireCorpusSize() names every split that is too small', () => {
    const streams = { train: counting(48), fitness: counting(9), report: counting(8) };
    expect(() => requireCorpusSize(streams, 6, 8)).toThrow(
      expect.objectContaining({
        name: 'CorpusTooSmallError',
        fieldViolations: [
          { field: 'corpus.train', description: '48 tokens (48 bytes); 6 × 8 + 1 = 49 tokens are needed' },
          { field: 'corpus.report', description: '8 tokens (8 bytes); 1 × 8 + 1 = 9 tokens are needed' },
        ],
      }),
    );
    expect(() =>
      requireCorpusSize({ ...streams, train: counting(49), report: counting(9) }, 6, 8),
    ).not.toThrow();
  });
});
