import type { TokenStream } from '@agentforge/model';
import type { CandidateMeter } from '../candidate-meter.js';
import type { Weights } from '../domain/layout.js';
import type { Candidate } from './evaluator.js';
import { LocalEvaluator } from './local-evaluator.js';

const stream: TokenStream = { tokens: Int32Array.of(1, 2), bytesOfId: Int32Array.of(1, 1, 1) };

/** Measures the first weight. */
const meter = {
  measure: (weights: Weights) => ({
    lossNats: weights.get('x')?.[0] ?? Number.NaN,
    flopPerToken: 1,
    parameters: 1,
  }),
} as unknown as CandidateMeter;

function candidates(made: string[]): Candidate[] {
  return [3, 1, 2].map((value, i) => ({
    individual: { id: `g0-${i}`, generation: 0, origin: 'initial', recipe: null, layers: 1 },
    weights: () => {
      made.push(`g0-${i}`);
      return new Map([['x', Float32Array.of(value)]]);
    },
  }));
}

describe('LocalEvaluator', () => {
  it('measures each candidate once and waits for what is done with it', async () => {
    const made: string[] = [];
    const seen: [string, number][] = [];
    await new LocalEvaluator(meter, stream).measure(candidates(made), async (candidate, measured) => {
      await Promise.resolve();
      seen.push([candidate.individual.id, measured.lossNats]);
      expect(made).toHaveLength(seen.length);
    });
    expect(seen).toEqual([
      ['g0-0', 3],
      ['g0-1', 1],
      ['g0-2', 2],
    ]);
  });

  it('ends with the error of what is done with a measurement, and measures no more', async () => {
    const made: string[] = [];
    const stopped = new Error('released');
    const onMeasured = () => Promise.reject(stopped);
    await expect(new LocalEvaluator(meter, stream).measure(candidates(made), onMeasured)).rejects.toBe(
      stopped,
    );
    expect(made).toEqual(['g0-0']);
  });
});
