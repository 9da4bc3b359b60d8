import type { Tensor } from '../tensor.js';
import { type BackwardFunction, GraphNode } from './graph.js';

let suspended = 0;

/** Whether operations on tensors that require gradients are recorded. */
export function isGradEnabled(): boolean {
  return suspended === 0;
}

/** Runs `fn` without recording: nothing is saved for a backward pass. Nests. */
export function noGrad<T>(fn: () => T): T {
  suspended++;
  try {
    return fn();
  } finally {
    suspended--;
  }
}

/** Whether an operation on these tensors has to be recorded. @internal */
export function needsGraph(a: Tensor, b?: Tensor | null, c?: Tensor | null): boolean {
  if (suspended > 0) return false;
  return a.requiresGrad || b?.requiresGrad === true || c?.requiresGrad === true;
}

/**
 * Records how `output` was computed.
 * @param inputs    tensors that gradients go to, where they require one
 * @param saved     tensors whose elements `backward` reads; they stay until it ran
 * @param backward  gives the inputs their gradients; must refer to tensors only through what it saved
 * @internal
 */
export function record(
  output: Tensor,
  inputs: readonly Tensor[],
  saved: readonly Tensor[],
  backward: BackwardFunction,
): Tensor {
  output.requiresGrad = true;
  output.isIntermediate = true;
  output.node = new GraphNode(output, inputs, saved, backward);
  return output;
}
