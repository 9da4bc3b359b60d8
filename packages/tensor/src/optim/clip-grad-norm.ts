import { native } from '../backend.js';
import { ArgumentError } from '../errors.js';
import { float } from '../ops/operand.js';
import { globalNorm } from '../ops/reductions.js';
import { Tensor } from '../tensor.js';

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
  const norm = globalNorm(gradientsOf(parameters));
  return { norm, scale: Math.min(1, maxNorm / (norm + EPSILON)), isFinite: Number.isFinite(norm) };
}

/**
 * The same on the device, without waiting for it: f64 [norm, scale], for {@link AdamW.apply}, to be read later.
 * @param maxNorm  more than 0; Infinity: the norm only
 * @param guards   f32, such as losses: unless all their elements and the norm are finite, scale is NaN, and nothing moves
 * @throws ArgumentError INVALID_ARGUMENT: maxNorm is not above 0
 */
export function clipScale(
  parameters: Iterable<Tensor>,
  maxNorm: number,
  guards: readonly Tensor[] = [],
): Tensor {
  if (!(maxNorm > 0)) throw new ArgumentError(`clipScale: maxNorm ${maxNorm}, needs more than 0`);
  const handles = (tensors: readonly Tensor[]) => tensors.map((tensor) => float('clipScale', tensor));
  return new Tensor(
    native().clipScale(handles(gradientsOf(parameters)), maxNorm, handles(guards)),
    'f64',
    [2],
  );
}

function gradientsOf(parameters: Iterable<Tensor>): Tensor[] {
  const gradients: Tensor[] = [];
  for (const parameter of parameters) if (parameter.grad !== null) gradients.push(parameter.grad);
  return gradients;
}
