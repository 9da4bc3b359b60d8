import { DTYPES } from '@agentforge/native';
import { native } from '../backend.js';
import { formatShape } from '../dtype.js';
import { GraphError, ShapeError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { freeIntermediate, type GraphNode, setRetaining } from './graph.js';

/** How a backward pass runs. */
export interface BackwardOptions {
  /** Gradient of the loss with respect to itself; 1/n averages over n accumulated batches. Default 1. */
  readonly seed?: number;
  /** Keep the graph and its intermediates for another pass. Default false: each is freed once it was used. */
  readonly retainGraph?: boolean;
}

let visits = 0;

/** Every node that the loss depends on, latest first. */
function nodesBefore(root: GraphNode): GraphNode[] {
  const visit = ++visits;
  const found: GraphNode[] = [root];
  root.visit = visit;
  for (let i = 0; i < found.length; i++) {
    const node = found[i] as GraphNode;
    if (node.isDone) {
      throw new GraphError(
        'backward: the graph was already run backwards and freed; ask for retainGraph in the first pass',
      );
    }
    for (const input of node.inputs) {
      const next = input.node;
      if (next === null || next.visit === visit) continue;
      next.visit = visit;
      found.push(next);
    }
  }
  return found.sort((a, b) => b.sequence - a.sequence);
}

/**
 * Adds the gradient of `loss` to the `grad` of every leaf it depends on.
 *
 * Intermediates of the graph are freed as soon as the pass is done with them, except kept ones and
 * the loss. The order of all sums is fixed by the order of recording, so the same program gives the
 * same bytes.
 * @param loss  f32, one element, computed from leaves that require gradients
 * @throws ShapeError INVALID_ARGUMENT: loss has more than one element
 * @throws GraphError FAILED_PRECONDITION: nothing was recorded for it, or its graph was already freed
 */
export function backward(loss: Tensor, { seed = 1, retainGraph = false }: BackwardOptions = {}): void {
  if (loss.size !== 1) throw new ShapeError(`backward: loss is ${formatShape(loss.shape)}, not one element`);
  if (loss.node === null) {
    throw new GraphError(
      'backward: loss was computed without gradients (noGrad, or no input is a parameter)',
    );
  }
  const nodes = nodesBefore(loss.node);
  loss.node.gradient = native().full(DTYPES.f32, loss.shape, seed);
  setRetaining(retainGraph);
  try {
    for (const node of nodes) {
      node.run();
      if (retainGraph) continue;
      node.release();
      if (node.output !== loss) freeIntermediate(node.output);
    }
  } finally {
    setRetaining(false);
    for (const node of nodes) node.dropGradient();
  }
}
