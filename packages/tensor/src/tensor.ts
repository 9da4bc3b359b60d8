import type { Handle } from '@agentforge/native';
import type { GraphNode } from './autograd/graph.js';
import { FREED, native } from './backend.js';
import { type Device, selectedDevice } from './device.js';
import { type DType, formatShape, type Shape, sizeOf, type TensorData } from './dtype.js';
import { ArgumentError, DtypeError, FreedTensorError, GraphError, ShapeError } from './errors.js';
import { track, unwatch } from './lifetime.js';
import { formatTensor } from './print.js';

/**
 * A dense, row-major array of numbers on the compute device.
 *
 * Its memory is given back by the scope it was made in, by backward() when it is an intermediate of
 * the graph, or by dispose(); after that every use throws FreedTensorError. Fields marked internal
 * belong to this package.
 */
export class Tensor {
  readonly dtype: DType;
  readonly shape: Shape;
  /** Number of elements. */
  readonly size: number;
  /** Whether gradients flow to (a leaf) or through (an intermediate) this tensor. */
  requiresGrad = false;
  /** Whether parameter() made it one: modules list it, trained or not. @internal */
  isParameter = false;
  /** Native handle, or FREED. @internal */
  handle: Handle;
  /** How this tensor was computed; null for leaves. @internal */
  node: GraphNode | null = null;
  /** Graph nodes that need this tensor's elements to run backwards. @internal */
  pins = 0;
  /** Whether a graph made this tensor for itself, and may free it. @internal */
  isIntermediate = false;
  /** Whether only dispose() frees this tensor. @internal */
  isKept = false;
  /** Whether another tensor may see the same elements. @internal */
  isAliased = false;
  /** Whether the garbage collector has been told of this tensor. @internal */
  isWatched = false;
  /** Buffer of the accumulated gradient of a leaf. @internal */
  gradBuffer: Tensor | null = null;
  /** Whether the buffer's contents are left over from before zeroGrad(). @internal */
  isGradStale = false;

  /** @internal use the functions of create.ts */
  constructor(handle: Handle, dtype: DType, shape: Shape) {
    this.handle = handle;
    this.dtype = dtype;
    this.shape = shape;
    this.size = sizeOf(shape);
    track(this);
  }

  /** Where the elements are. */
  get device(): Device {
    return selectedDevice();
  }

  /** The accumulated gradient of a leaf; null before the first backward() and after zeroGrad(). Owned by this tensor. */
  get grad(): Tensor | null {
    return this.isGradStale ? null : this.gradBuffer;
  }

  /** Whether the memory was given back. */
  get isFreed(): boolean {
    return this.handle === FREED;
  }

  /** Whether a backward pass can still run through what computed this tensor. @internal */
  get hasGraph(): boolean {
    return this.node !== null && !this.node.isDone;
  }

  /**
   * The native handle, for an operation that names itself.
   * @throws FreedTensorError FAILED_PRECONDITION: the memory was given back
   * @internal
   */
  use(op: string): Handle {
    if (this.handle === FREED) throw new FreedTensorError(freedMessage(op, this));
    return this.handle;
  }

  /** A copy of all elements, in the typed array of the dtype. */
  toTypedArray(): TensorData {
    return native().read(this.use('toTypedArray')) as TensorData;
  }

  /**
   * A copy of all elements.
   * @throws DtypeError INVALID_ARGUMENT: dtype is not f32
   */
  toFloat32Array(): Float32Array {
    if (this.dtype !== 'f32') throw new DtypeError(`toFloat32Array: dtype is ${this.dtype}, not f32`);
    return this.toTypedArray() as Float32Array;
  }

  /**
   * Copies all elements to `target`, from element `offset` of it.
   * @throws ShapeError INVALID_ARGUMENT: target has not enough room
   */
  readInto(target: TensorData, offset = 0): void {
    if (offset < 0 || offset + this.size > target.length) {
      throw new ShapeError(
        `readInto: ${formatShape(this.shape)} has ${this.size} elements, the target has ${target.length} with offset ${offset}`,
      );
    }
    native().readInto(this.use('readInto'), target.subarray(offset, offset + this.size));
  }

  /**
   * Overwrites elements offset.. with `data`, in place.
   * @throws GraphError FAILED_PRECONDITION: a graph still needs the old elements
   */
  write(data: TensorData, offset = 0): void {
    assertWritable('write', this);
    native().write(this.handle, data, offset);
  }

  /**
   * The only element.
   * @throws ShapeError INVALID_ARGUMENT: there is not exactly one
   */
  item(): number {
    if (this.size !== 1)
      throw new ShapeError(`item: ${formatShape(this.shape)} has ${this.size} elements, not 1`);
    return native().item(this.use('item'));
  }

  /** Takes this tensor out of the hands of scopes and of backward(): it lives until dispose(). */
  keep(): this {
    this.use('keep');
    this.isKept = true;
    return this;
  }

  /** Makes a buffer the gradient of this leaf, which owns it from now on. @internal */
  adoptGradient(handle: Handle): void {
    this.gradBuffer?.dispose();
    this.gradBuffer = new Tensor(handle, 'f32', this.shape).keep();
    this.isGradStale = false;
  }

  /** Gives the handle to the caller, who frees it; this tensor counts as freed. @internal */
  surrender(): Handle {
    if (this.isWatched) unwatch(this);
    const handle = this.handle;
    this.handle = FREED;
    return handle;
  }

  /** Frees the memory, and that of the gradient. A second call does nothing. */
  dispose(): void {
    if (this.handle === FREED) return;
    native().free(this.surrender());
    this.gradBuffer?.dispose();
    this.gradBuffer = null;
  }

  /** Dtype, shape and elements, those of long axes elided. */
  toString(): string {
    const label = `Tensor(${this.dtype}${formatShape(this.shape)}`;
    return this.isFreed ? `${label}, freed)` : `${label}\n${formatTensor(this.toTypedArray(), this.shape)})`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

function freedMessage(op: string, tensor: Tensor): string {
  return (
    `${op}: tensor ${tensor.dtype}${formatShape(tensor.shape)} was freed by its scope, by backward() or by dispose(); ` +
    'return it from the scope or keep() it to use it later'
  );
}

/**
 * Throws unless an operation may change a tensor's elements in place.
 * @throws GraphError FAILED_PRECONDITION: a graph still needs the old elements, or would not see the change
 * @internal
 */
export function assertWritable(op: string, tensor: Tensor): void {
  tensor.use(op);
  if (tensor.pins > 0 || tensor.hasGraph) {
    throw new GraphError(
      `${op}: ${tensor.dtype}${formatShape(tensor.shape)} is part of a graph that was not run backwards; use noGrad() or detach()`,
    );
  }
}

/**
 * Marks a tensor as a leaf that gradients are wanted for, and keeps it.
 * @throws DtypeError INVALID_ARGUMENT: dtype is not f32
 * @throws ArgumentError INVALID_ARGUMENT: it was computed by a recorded operation
 */
export function parameter(tensor: Tensor): Tensor {
  if (tensor.dtype !== 'f32')
    throw new DtypeError(`parameter: dtype is ${tensor.dtype}, only f32 has gradients`);
  if (tensor.node !== null)
    throw new ArgumentError('parameter: the tensor was computed by a recorded operation; detach() it');
  // A weight that was a parameter before and is frozen stays frozen.
  if (!tensor.isParameter) tensor.requiresGrad = true;
  tensor.isParameter = true;
  return tensor.keep();
}

/** Starts gradients of leaves anew: `grad` is null until the next backward(); buffers are reused. */
export function zeroGrad(leaves: Iterable<Tensor>): void {
  for (const leaf of leaves) leaf.isGradStale = leaf.gradBuffer !== null;
}
