import { memoryShapes } from './memory-config.js';
import type { ModelConfig } from './model-config.js';

/**
 * Shape of every parameter by its Hugging Face name, in file order. Projections are [out, in].
 * `lm_head.weight` is absent when embeddings are tied; biases [out] are there when the configuration has them.
 */
export function parameterShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { vocabSize, hiddenSize: d, intermediateSize, headDim, attentionBias, mlpBias } = config;
  const queryWidth = config.numHeads * headDim;
  const keyWidth = config.numKvHeads * headDim;
  const shapes = new Map<string, readonly number[]>([['model.embed_tokens.weight', [vocabSize, d]]]);
  for (let layer = 0; layer < config.numLayers; layer++) {
    const prefix = `model.layers.${layer}`;
    const projection = (part: string, out: number, width: number, hasBias = false): void => {
      shapes.set(`${prefix}.${part}.weight`, [out, width]);
      if (hasBias) shapes.set(`${prefix}.${part}.bias`, [out]);
    };
    projection('self_attn.q_proj', queryWidth, d, attentionBias);
    projection('self_attn.k_proj', keyWidth, d, attentionBias);
    projection('self_attn.v_proj', keyWidth, d, attentionBias);
    projection('self_attn.o_proj', d, queryWidth, attentionBias);
    projection('mlp.gate_proj', intermediateSize, d, mlpBias);
    projection('mlp.up_proj', intermediateSize, d, mlpBias);
    projection('mlp.down_proj', d, intermediateSize, mlpBias);
    if (config.memory) {
      for (const part of ['q_proj', 'k_proj', 'v_proj']) projection(`memory.neural.${part}`, queryWidth, d);
      projection('memory.neural.gate_proj', 3 * config.memory.heads, d, true);
      memoryShapes(config.memory, queryWidth).forEach((shape, index) => {
        shapes.set(`${prefix}.memory.neural.layers.${index}.weight`, shape);
      });
      projection('memory.gate', queryWidth, d, true);
      shapes.set(`${prefix}.memory.attention_norm.weight`, [queryWidth]);
      shapes.set(`${prefix}.memory.memory_norm.weight`, [queryWidth]);
    }
    shapes.set(`${prefix}.input_layernorm.weight`, [d]);
    shapes.set(`${prefix}.post_attention_layernorm.weight`, [d]);
  }
  shapes.set('model.norm.weight', [d]);
  if (!config.tieWordEmbeddings) shapes.set('lm_head.weight', [vocabSize, d]);
  if (config.recursion) {
    shapes.set('recursion.halt.weight', [1, d]);
    shapes.set('recursion.halt.bias', [1]);
  }
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
