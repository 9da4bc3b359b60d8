import { z } from 'zod';
import { type MemoryConfig, memorySchema } from './memory-config.js';
import { type ModelConfig, parseModelConfig } from './model-config.js';

const { heads, depth, expansion, chunkLength, maxStep, clipNorm } = memorySchema.shape;

/** Neural memory as a configuration gives it: what is absent depends on the shape of the model. */
export const memorySettings = z.strictObject({
  heads: heads.optional().describe('Memories side by side. Default: the attention heads of the preset'),
  depth: depth.optional().describe("Layers of each memory's perceptron. Default 2"),
  expansion: expansion.optional().describe('Width of its hidden layers, in widths of a head. Default 2'),
  chunk_length: chunkLength
    .optional()
    .describe('Tokens whose gradients are taken at the same weights. Default: a quarter of the window'),
  max_step: maxStep.min(1e-6).optional().describe("Largest step along a token's gradient. Default 0.5"),
  clip_norm: clipNorm.min(1e-6).optional().describe("Largest norm of a token's gradient. Default 1"),
});

/** What `titansMag` adds to a shape. */
export interface TitansMagSettings {
  /** Positions that attention sees, the own one included. Default: a quarter of the context. */
  readonly window?: number | undefined;
  readonly memory?: z.output<typeof memorySettings> | undefined;
}

/**
 * A shape with attention over a window and a neural memory beside it. With the presets the window is 64, 128, 256 and
 * 512 tokens, a chunk 16, 32, 64 and 128.
 * @throws InvalidModelConfigError  INVALID_ARGUMENT: every violated field
 */
export function titansMag(shape: ModelConfig, { window, memory = {} }: TitansMagSettings = {}): ModelConfig {
  const slidingWindow = window ?? Math.max(1, Math.floor(shape.contextLength / 4));
  const whole: MemoryConfig = {
    heads: memory.heads ?? shape.numHeads,
    depth: memory.depth ?? 2,
    expansion: memory.expansion ?? 2,
    chunkLength: memory.chunk_length ?? Math.max(1, Math.floor(slidingWindow / 4)),
    maxStep: memory.max_step ?? 0.5,
    clipNorm: memory.clip_norm ?? 1,
  };
  return parseModelConfig({ ...shape, slidingWindow, memory: whole });
}
