import {
  byteTokenizer,
  encodeModelFiles,
  type ModelConfig,
  parameterShapes,
  presetConfig,
  type Tokenizer,
} from '@agentforge/model';

/** A configuration of a few thousand parameters. */
export const TINY: ModelConfig = presetConfig('pico', {
  vocabSize: 257,
  hiddenSize: 16,
  numLayers: 1,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 8,
  intermediateSize: 32,
  contextLength: 32,
});

/** Files of a model whose weights are a simple function of a number, so that other numbers give other models. */
export function modelFiles(
  seed: number,
  config: ModelConfig = TINY,
  change: (weights: Map<string, Float32Array>) => void = () => undefined,
  tokenizer: Tokenizer = byteTokenizer(),
): Map<string, Uint8Array> {
  const weights = new Map<string, Float32Array>();
  for (const [name, shape] of parameterShapes(config)) {
    const size = shape.reduce((product, length) => product * length, 1);
    weights.set(
      name,
      Float32Array.from({ length: size }, (_, i) => Math.sin(i * 0.37 + seed)),
    );
  }
  change(weights);
  return encodeModelFiles({ config, weights }, tokenizer);
}
