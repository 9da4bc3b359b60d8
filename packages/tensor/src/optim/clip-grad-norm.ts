import { globalNorm } from '../ops/reductions.js';
import type { Tensor } from '../tensor.js';

/** Result of clipping: gradients are to be read as scale · grad. */
export interface ClippedNorm {
  /** Global L2 norm before clipping; NaN or Infinity when a gradient is. */
  readonly norm: number;
  /** min(1, maxNorm / norm), for AdamW.step({ gradScale }); gradients themselves are not changed. */
  readonly scale: number;
  /** Whether the norm is a finite number. A step with gradients that are not would ruin the weights. */
  readonly isFinite: boolean;
}

const EPSILON = 1e-6; // as torch.nn.utils.clip_grad_norm_

/** The scale that brings the global L2 norm of all gradients to `maxNorm` at most, without touching them. */
export function clipGradNorm(parameters: Iterable<Tensor>, maxNorm: number): ClippedNorm {
  const gradients: Tensor[] = [];
  for (const parameter of parameters) if (parameter.grad !== null) gradients.push(parameter.grad);
  const norm = globalNorm(gradients);
  return { norm, scale: Math.min(1, maxNorm / (norm + EPSILON)), isFinite: Number.isFinite(norm) };
}
