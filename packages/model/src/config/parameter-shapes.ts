import type { ModelConfig } from './model-config.js';

/**
 * Shape of every parameter by its Hugging Face name, in file order. Projections are [out, in].
 * `lm_head.weight` is absent when embeddings are tied.
 */
export function parameterShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { vocabSize, hiddenSize: d, intermediateSize, headDim } = config;
  const queryWidth = config.numHeads * headDim;
  const keyWidth = config.numKvHeads * headDim;
  const shapes = new Map<string, readonly number[]>([['model.embed_tokens.weight', [vocabSize, d]]]);
  for (let layer = 0; layer < config.numLayers; layer++) {
    const prefix = `model.layers.${layer}`;
    shapes.set(`${prefix}.self_attn.q_proj.weight`, [queryWidth, d]);
    shapes.set(`${prefix}.self_attn.k_proj.weight`, [keyWidth, d]);
    shapes.set(`${prefix}.self_attn.v_proj.weight`, [keyWidth, d]);
    shapes.set(`${prefix}.self_attn.o_proj.weight`, [d, queryWidth]);
    shapes.set(`${prefix}.mlp.gate_proj.weight`, [intermediateSize, d]);
    shapes.set(`${prefix}.mlp.up_proj.weight`, [intermediateSize, d]);
    shapes.set(`${prefix}.mlp.down_proj.weight`, [d, intermediateSize]);
    shapes.set(`${prefix}.input_layernorm.weight`, [d]);
    shapes.set(`${prefix}.post_attention_layernorm.weight`, [d]);
  }
  shapes.set('model.norm.weight', [d]);
  if (!config.tieWordEmbeddings) shapes.set('lm_head.weight', [vocabSize, d]);
  return shapes;
}

/** Numbers of parameters of a model. */
export interface ParameterCount {
  readonly total: number;
  /** Input embedding, and the output projection when it is not tied. */
  readonly embedding: number;
  /** Everything else. */
  readonly body: number;
}

/** Counts the parameters a configuration gives. */
export function countParameters(config: ModelConfig): ParameterCount {
  let total = 0;
  for (const shape of parameterShapes(config).values())
    total += shape.reduce((product, size) => product * size, 1);
  const embedding = config.vocabSize * config.hiddenSize * (config.tieWordEmbeddings ? 1 : 2);
  return { total, embedding, body: total - embedding };
}
