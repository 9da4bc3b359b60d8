import type { RecipePath } from './recipe.js';

/** A map of a recipe while it is checked. */
export type Fields = Readonly<Record<string, unknown>>;

/** Collects what is wrong, by place. */
export class Problems {
  readonly found: { readonly path: RecipePath; readonly message: string }[] = [];

  add(path: RecipePath, message: string): void {
    this.found.push({ path, message });
  }

  /** As {@link add}, unless something is known to be wrong there: for checks that are repeated for every tensor. */
  addOnce(path: RecipePath, message: string): void {
    if (!this.found.some((problem) => problem.path.join('/') === path.join('/'))) this.add(path, message);
  }

  /** A map that has no other keys than these; undefined, with a problem, when it is none. */
  map(value: unknown, path: RecipePath, keys: readonly string[] | null): Fields | undefined {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.add(path, `${describe(value)} is no map${keys ? ` with ${keys.join(', ')}` : ''}`);
      return undefined;
    }
    for (const key of Object.keys(value)) {
      if (keys && !keys.includes(key))
        this.add([...path, key], `is not known here; there are ${keys.join(', ')}`);
    }
    return value as Fields;
  }

  /** A list with at least one item. */
  list(value: unknown, path: RecipePath, of: string): readonly unknown[] {
    if (Array.isArray(value) && value.length > 0) return value;
    this.add(path, `${describe(value)} is no list of ${of}`);
    return [];
  }

  /** A text that is not empty. */
  text(value: unknown, path: RecipePath, what: string): string | undefined {
    if (typeof value === 'string' && value !== '') return value;
    this.add(path, `${describe(value)} is no ${what}`);
    return undefined;
  }

  /** One of some words. */
  oneOf<T extends string>(value: unknown, path: RecipePath, words: readonly T[]): T | undefined {
    const found = words.find((word) => word === value);
    if (found === undefined) this.add(path, `${describe(value)} is none of ${words.join(', ')}`);
    return found;
  }

  /** A whole number from `min`. */
  wholeNumber(value: unknown, path: RecipePath, min: number): number | undefined {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min) return value;
    this.add(path, `${describe(value)} is no whole number from ${min}`);
    return undefined;
  }
}

/** A value as it is named in a message. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  return typeof value === 'object' ? 'a map' : JSON.stringify(value);
}
