import { argmax, categorical, mulScalar, noGrad, type Philox, scope } from '@agentforge/tensor';
import { DiagonalCache } from './diagonal-attention.js';
import { THOUGHT_MARKS, type ThinkingModel } from './thinking-model.js';

/** How thoughts are drawn. */
export interface ThoughtSampling {
  /** Rows of tokens, R. */
  readonly rows: number;
  /** Tokens of each thought, n ≥ 1. */
  readonly thoughtLength: number;
  /** Divides the logits; 0 takes the likeliest token. */
  readonly temperature: number;
  /** Not advanced: place k of all thoughts draws from its stream `token k`, thought (row, origin) number row · T + origin of it. */
  readonly rng: Philox;
  /** Called before each block; throw from it to stop. */
  readonly checkCancelled?: () => void;
}

/**
 * Draws a thought after every token of every row, all in parallel: n + 1 forward passes of R · T columns, whatever T is. The
 * thought after token i depends on tokens 0 … i only, and is what an ordinary continuation of them by the start mark gives.
 * @param tokens  ids [R, T]
 * @returns       ids [R, n, T]
 * @see Zelikman et al. 2024, arXiv:2403.09629 §4.2
 */
export function sampleThoughts(
  model: ThinkingModel,
  tokens: Int32Array,
  { rows, thoughtLength, temperature, rng, checkCancelled }: ThoughtSampling,
): Int32Array {
  const length = tokens.length / rows;
  const thoughts = new Int32Array(rows * thoughtLength * length);
  const cache = new DiagonalCache(model.llama.config, rows, length, 1 + thoughtLength);
  const run = (ids: Int32Array | null, sampled: number | null): Int32Array | null =>
    noGrad(() =>
      scope(() => {
        checkCancelled?.();
        const x = ids === null ? model.mark(THOUGHT_MARKS.start, rows, length) : model.embed(ids, rows);
        const h = model.hidden(x, (layer) => cache.layer(layer));
        if (sampled === null) return null;
        const logits = model.logits(h);
        const drawn =
          temperature === 0
            ? argmax(logits)
            : categorical(mulScalar(logits, 1 / temperature), rng.stream(`token ${sampled}`));
        return drawn.toTypedArray() as Int32Array;
      }),
    );
  try {
    run(tokens, null);
    let last: Int32Array | null = null;
    for (let place = 0; place < thoughtLength; place++) {
      cache.advance();
      last = run(last, place) as Int32Array;
      for (let row = 0; row < rows; row++) {
        const at = (row * thoughtLength + place) * length;
        thoughts.set(last.subarray(row * length, (row + 1) * length), at);
      }
    }
    return thoughts;
  } finally {
    cache.dispose();
  }
}
