import { closeScope, openScope } from './lifetime.js';
import { Tensor } from './tensor.js';

/** Every tensor in a value: itself, or in arrays, maps and plain objects. @internal */
export function tensorsIn(value: unknown): Set<Tensor> {
  const found = new Set<Tensor>();
  collect(value, found);
  return found;
}

function collect(value: unknown, found: Set<Tensor>): void {
  if (typeof value !== 'object' || value === null) return;
  if (value instanceof Tensor) found.add(value);
  else if (Array.isArray(value)) for (const item of value) collect(item, found);
  else if (value instanceof Map) for (const item of value.values()) collect(item, found);
  else if (Object.getPrototypeOf(value) === Object.prototype) collect(Object.values(value), found);
}

/**
 * Runs `fn` and frees every tensor made in it, except
 * those it returns (in arrays, maps and plain objects, at any depth), those that keep() was called on,
 * and, while a returned or kept tensor still has its graph, those that the graph saved.
 * Survivors belong to the scope around this one.
 *
 * Synchronous: tensors that a promise makes later would belong to somebody else, so a promise is refused.
 * @throws TypeError when fn returns a promise
 */
export function scope<T>(fn: () => T): T {
  const returned = new Set<Tensor>();
  openScope();
  try {
    const result = fn();
    if (result instanceof Promise) throw new TypeError('scope: the function must not be asynchronous');
    collect(result, returned);
    return result;
  } finally {
    closeScope(returned);
  }
}
