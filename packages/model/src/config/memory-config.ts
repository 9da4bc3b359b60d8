import { z } from 'zod';

/** Shape and constants of the neural memory of each block. */
export const memorySchema = z.strictObject({
  heads: z.int().min(1).max(1024).describe('Memories side by side; divides numHeads · headDim'),
  depth: z.int().min(2).max(8).describe("Layers of each memory's perceptron"),
  expansion: z.int().min(1).max(64).describe('Width of its hidden layers, in widths of a head'),
  chunkLength: z.int().min(1).max(1024).describe('Tokens whose gradients are taken at the same weights'),
  maxStep: z.number().positive().max(10).describe("Largest step along a token's gradient"),
  clipNorm: z.number().positive().max(1e6).describe("Largest norm of a token's gradient"),
});

/** Shape and constants of the neural memory of each block. @see NeuralMemory */
export type MemoryConfig = Readonly<z.infer<typeof memorySchema>>;

/** Shape of the first weights of each layer of a memory: [heads, out, in]. */
export function memoryShapes(
  { heads, depth, expansion }: MemoryConfig,
  width: number,
): (readonly [number, number, number])[] {
  const headDim = width / heads;
  const hidden = headDim * expansion;
  return Array.from({ length: depth }, (_, layer) => [
    heads,
    layer === depth - 1 ? headDim : hidden,
    layer === 0 ? headDim : hidden,
  ]);
}
