import type { Handle } from '@agentforge/native';
import { native } from './backend.js';

/** What the lifetime of a tensor depends on. */
export interface Owned {
  readonly handle: Handle;
  readonly isFreed: boolean;
  /** Whether only dispose() frees it. */
  readonly isKept: boolean;
  /** Whether a backward pass can still run through what computed it. */
  readonly hasGraph: boolean;
  /** Graph nodes that need its elements. */
  readonly pins: number;
  /** Whether the garbage collector has been told of it. */
  isWatched: boolean;
  dispose(): void;
}

/** Tensors made while one scope is open, and the scope around it. */
interface OpenScope {
  readonly tensors: Owned[];
  readonly parent: OpenScope | null;
}

let innermost: OpenScope | null = null;

// Collection has no schedule, so this is a safety net under scopes and dispose(), never the plan.
const collected = new FinalizationRegistry<Handle>((handle) => native().free(handle));

/** Puts a new tensor under the innermost scope, or under the garbage collector when none is open. */
export function track(tensor: Owned): void {
  if (innermost === null) watch(tensor);
  else innermost.tensors.push(tensor);
}

/** Lets the garbage collector free a tensor's memory, should nobody else. */
export function watch(tensor: Owned): void {
  tensor.isWatched = true;
  collected.register(tensor, tensor.handle, tensor);
}

/** Ends {@link watch}; to be called before the memory is freed otherwise. */
export function unwatch(tensor: Owned): void {
  tensor.isWatched = false;
  collected.unregister(tensor);
}

/** Opens a scope: what is made from now on belongs to it. */
export function openScope(): void {
  innermost = { tensors: [], parent: innermost };
}

/**
 * Closes the innermost scope and frees its tensors, except kept ones, those in `returned`, and,
 * when a returned or kept tensor still has a graph to run back through, those that its graph saved.
 * What survives belongs to the scope around it, or to the garbage collector.
 */
export function closeScope(returned: ReadonlySet<Owned>): void {
  const closing = innermost;
  if (closing === null) return;
  innermost = closing.parent;
  let hasGraph = false;
  for (const tensor of returned) hasGraph ||= tensor.hasGraph;
  for (const tensor of closing.tensors) hasGraph ||= tensor.isKept && tensor.hasGraph;
  for (const tensor of closing.tensors) {
    if (tensor.isFreed) continue;
    if (tensor.isKept) watch(tensor);
    else if (returned.has(tensor) || (hasGraph && tensor.pins > 0)) track(tensor);
    else tensor.dispose();
  }
}
