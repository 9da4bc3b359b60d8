import type { Handle } from '@agentforge/native';
import { DTYPES } from '@agentforge/native';
import { FREED, native } from '../backend.js';
import { type Shape, sameShape } from '../dtype.js';

/** A tensor as the graph sees it. */
export interface GraphTensor {
  readonly shape: Shape;
  /** How it was computed; null for leaves. */
  readonly node: GraphNode | null;
  readonly isKept: boolean;
  readonly isIntermediate: boolean;
  readonly isAliased: boolean;
  pins: number;
  readonly gradBuffer: { readonly handle: Handle } | null;
  isGradStale: boolean;
  adoptGradient(handle: Handle): void;
  dispose(): void;
}

/** Computes the gradients of a node's inputs from `node.gradient` and hands each over with give(), pass() or giveInto(). */
export type BackwardFunction = (node: GraphNode) => void;

const NO_TENSORS: readonly GraphTensor[] = [];
const alreadyRun: BackwardFunction = () => undefined;

let nextSequence = 0;

/**
 * One recorded operation: what it read, what it made, and how to run it backwards.
 *
 * `gradient` is the sum of what the operations after it gave so far. It is `isShared` while another
 * handle may see the same buffer; only a buffer that is not shared is added to in place.
 */
export class GraphNode {
  /** Nodes with higher numbers were recorded later: descending order is a reverse topological order. */
  readonly sequence = nextSequence++;
  readonly output: GraphTensor;
  inputs: readonly GraphTensor[];
  gradient: Handle = FREED;
  isShared = false;
  isDone = false;
  /** The backward() call that visited this node last. */
  visit = 0;
  private saved: readonly GraphTensor[];
  private backward: BackwardFunction;

  constructor(
    output: GraphTensor,
    inputs: readonly GraphTensor[],
    saved: readonly GraphTensor[],
    backward: BackwardFunction,
  ) {
    this.output = output;
    this.inputs = inputs;
    this.saved = saved;
    this.backward = backward;
    for (const tensor of saved) if (!tensor.isKept) tensor.pins++;
  }

  /** Runs this node backwards when a gradient reached it, and drops that gradient. */
  run(): void {
    if (this.gradient === FREED) return;
    this.backward(this);
    this.dropGradient();
  }

  /** Frees the gradient, if there is one. */
  dropGradient(): void {
    if (this.gradient !== FREED) native().free(this.gradient);
    this.gradient = FREED;
  }

  /** Frees what only this node needed; it cannot run again. */
  release(): void {
    this.isDone = true;
    for (const tensor of this.saved) if (tensor.pins > 0 && --tensor.pins === 0) freeIntermediate(tensor);
    this.saved = NO_TENSORS;
    this.inputs = NO_TENSORS;
    this.backward = alreadyRun;
  }

  /** Whether nobody but this node saved `tensor`, so that backward may overwrite it. */
  mayOverwrite(tensor: GraphTensor): boolean {
    return tensor.isIntermediate && !tensor.isKept && !tensor.isAliased && tensor.pins === 1 && !retaining;
  }

  /** Adds a new buffer, which this call takes over, to the gradient of an input. */
  give(input: GraphTensor, gradient: Handle): void {
    accumulate(input, gradient, false);
  }

  /**
   * Hands this node's own gradient on to an input of as many elements.
   * @param isAlsoUsed  whether it goes to another input too, so that neither may change it in place
   */
  pass(input: GraphTensor, isAlsoUsed = false): void {
    if (!isAlsoUsed && sameShape(input.shape, this.output.shape)) {
      const gradient = this.gradient;
      this.gradient = FREED;
      accumulate(input, gradient, this.isShared);
    } else {
      accumulate(input, native().view(this.gradient, 0, input.shape), this.isShared || isAlsoUsed);
    }
  }

  /**
   * Lets an operation add into the gradient of an input without a temporary.
   * @param compute  writes result + beta · out to `out`, or to a new buffer when out is null; returns the buffer
   */
  giveInto(input: GraphTensor, compute: (out: Handle | null, beta: number) => Handle): void {
    const node = input.node;
    if (node !== null) {
      if (node.gradient !== FREED && !node.isShared) compute(node.gradient, 1);
      else accumulate(input, compute(null, 0), false);
    } else if (input.gradBuffer === null) {
      input.adoptGradient(compute(null, 0));
    } else {
      compute(input.gradBuffer.handle, input.isGradStale ? 0 : 1);
      input.isGradStale = false;
    }
  }

  /** A buffer of the input's gradient so far, or of zeros, for an operation that only ever adds. */
  accumulator(input: GraphTensor): Handle {
    const node = input.node;
    if (node === null) {
      if (input.gradBuffer === null || input.isGradStale) input.adoptGradient(zeros(input));
      return (input.gradBuffer as { handle: Handle }).handle;
    }
    if (node.gradient === FREED || node.isShared) accumulate(input, zeros(input), false);
    return node.gradient;
  }
}

/** Whether the backward pass that is running keeps its graph. */
let retaining = false;

/** Tells the nodes whether the graph is kept after this pass. */
export function setRetaining(value: boolean): void {
  retaining = value;
}

/** Frees a tensor that a graph made for itself, unless somebody keeps or saved it. */
export function freeIntermediate(tensor: GraphTensor): void {
  if (tensor.isIntermediate && !tensor.isKept && tensor.pins === 0) tensor.dispose();
}

function zeros(like: GraphTensor): Handle {
  return native().full(DTYPES.f32, like.shape, 0);
}

function ownCopy(gradient: Handle, like: GraphTensor): Handle {
  const copy = native().alloc(DTYPES.f32, like.shape);
  native().copy(copy, gradient);
  native().free(gradient);
  return copy;
}

function accumulate(input: GraphTensor, gradient: Handle, isShared: boolean): void {
  const api = native();
  const node = input.node;
  if (node === null) {
    if (input.gradBuffer === null || input.isGradStale) {
      input.adoptGradient(isShared ? ownCopy(gradient, input) : gradient);
      return;
    }
    api.axpy(input.gradBuffer.handle, 1, gradient);
    api.free(gradient);
  } else if (node.gradient === FREED) {
    node.gradient = gradient;
    node.isShared = isShared;
  } else if (!node.isShared) {
    api.axpy(node.gradient, 1, gradient);
    api.free(gradient);
  } else {
    const sum = isShared ? ownCopy(gradient, input) : gradient;
    api.axpy(sum, 1, node.gradient);
    api.free(node.gradient);
    node.gradient = sum;
    node.isShared = false;
  }
}
