import type { Handle } from '@agentforge/native';
import { native } from './backend.js';
import type { Tensor } from './tensor.js';

/** Tensors made while one scope is open, and the scope around it. */
interface OpenScope {
  readonly tensors: Tensor[];
  readonly parent: OpenScope | null;
}

let innermost: OpenScope | null = null;

// Collection has no schedule, so this is a safety net under scopes and dispose(), never the plan.
const collected = new FinalizationRegistry<Handle>((handle) => native().free(handle));

/** Puts a new tensor under the innermost scope, or under the garbage collector when none is open. */
export function track(tensor: Tensor): void {
  if (innermost === null) watch(tensor);
  else innermost.tensors.push(tensor);
}

/** Lets the garbage collector free a tensor's memory, should nobody else. */
export function watch(tensor: Tensor): void {
  tensor.isWatched = true;
  collected.register(tensor, tensor.handle, tensor);
}

/** Ends {@link watch}; to be called before the memory is freed otherwise. */
export function unwatch(tensor: Tensor): void {
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
export function closeScope(returned: ReadonlySet<Tensor>): void {
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
