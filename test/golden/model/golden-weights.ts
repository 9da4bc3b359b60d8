import { type ModelConfig, parameterShapes } from '@agentforge/model';

/** Murmur3's finaliser of index + salt · golden ratio; the twin of `hash32` in make_golden.py. */
export function hash32(index: number, salt: number): number {
  let x = (index + Math.imul(salt, 0x9e3779b9)) >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  x ^= x >>> 16;
  return x >>> 0;
}

/** Weights of the golden models: parameter number `salt` in file order, element `index`. */
export function goldenWeights(config: ModelConfig): Map<string, Float32Array> {
  const weights = new Map<string, Float32Array>();
  for (const [name, shape] of parameterShapes(config)) {
    const salt = weights.size;
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    for (let i = 0; i < values.length; i++) {
      const centred = (hash32(i, salt) >>> 8) / 2 ** 24 - 0.5;
      values[i] = shape.length === 1 ? 1 + 0.5 * centred : 0.2 * centred;
    }
    weights.set(name, values);
  }
  return weights;
}

/** Tokens of the golden models. */
export function goldenTokens(count: number, vocabSize: number, salt: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => hash32(i, salt) % vocabSize);
}
