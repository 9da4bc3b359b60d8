import type { SpecDocument } from './document.js';
import { parseDuration } from './duration.js';
import type { FieldPath } from './path.js';
import type { SpecProblem } from './problem.js';
import { didYouMean } from './suggest.js';

/** A plain map, as YAML gives it. */
export type PlainMap = Readonly<Record<string, unknown>>;

const MAX_UINT64 = (1n << 64n) - 1n;

/** Reads typed values out of a document and collects every problem on the way. */
export class Checker {
  readonly problems: SpecProblem[] = [];

  constructor(private readonly document: SpecDocument) {}

  /** Records a problem. */
  refuse(path: FieldPath, message: string, at: 'key' | 'value' = 'value'): undefined {
    this.problems.push(this.document.problem(path, message, at));
    return undefined;
  }

  /** A map whose keys are all known; undefined, with a problem, when it is no map. */
  map(value: unknown, path: FieldPath, known?: readonly string[]): PlainMap | undefined {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      return this.refuse(path, `expected a map, got ${describe(value)}`);
    }
    for (const key of Object.keys(value)) {
      if (known && !known.includes(key)) {
        const hint = didYouMean(key, known) || `; known here: ${known.join(', ')}`;
        this.refuse([...path, key], `unknown field "${key}"${hint}`, 'key');
      }
    }
    return value as PlainMap;
  }

  /** A list; an absent value is an empty one. */
  list(value: unknown, path: FieldPath): readonly unknown[] {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value;
    this.refuse(path, `expected a list, got ${describe(value)}`);
    return [];
  }

  /** A text, optionally of a shape. */
  text(value: unknown, path: FieldPath, shape?: { pattern: RegExp; summary: string }): string | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'string') {
      return this.refuse(path, `expected text, got ${describe(value)}${quoteHint(value)}`);
    }
    if (shape && !shape.pattern.test(value)) {
      return this.refuse(path, `${JSON.stringify(value)} is not valid: ${shape.summary}`);
    }
    return value;
  }

  /** A whole number from `min` to `max`. */
  integer(value: unknown, path: FieldPath, min: number, max: number): number | undefined {
    if (value === undefined || value === null) return undefined;
    const number = typeof value === 'bigint' ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isSafeInteger(number)) {
      return this.refuse(path, `expected a whole number, got ${describe(value)}`);
    }
    if (number < min || number > max) return this.refuse(path, `${number} is not within ${min} to ${max}`);
    return number;
  }

  /** A number from `min` to `max`. */
  number(value: unknown, path: FieldPath, min: number, max: number): number | undefined {
    if (value === undefined || value === null) return undefined;
    const number = typeof value === 'bigint' ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isFinite(number)) {
      return this.refuse(path, `expected a number, got ${describe(value)}`);
    }
    if (number < min || number > max) return this.refuse(path, `${number} is not within ${min} to ${max}`);
    return number;
  }

  /** A seed: a whole number from 0 to 2^64 - 1, read exactly. */
  seed(value: unknown, path: FieldPath): bigint | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'bigint')
      return this.refuse(path, `expected a whole number, got ${describe(value)}`);
    if (value < 0n || value > MAX_UINT64)
      return this.refuse(path, `${value} is not within 0 to ${MAX_UINT64}`);
    return value;
  }

  /** True or false. */
  flag(value: unknown, path: FieldPath): boolean | undefined {
    if (value === undefined || value === null) return undefined;
    return typeof value === 'boolean'
      ? value
      : this.refuse(path, `expected true or false, got ${describe(value)}`);
  }

  /** Milliseconds of a duration. */
  duration(value: unknown, path: FieldPath): number | undefined {
    if (value === undefined || value === null) return undefined;
    return (
      parseDuration(value) ??
      this.refuse(path, `expected a duration such as 500ms, 30s or 1h30m, got ${describe(value)}`)
    );
  }

  /** Any value as JSON: bigints become numbers, and what JSON cannot say is refused. */
  json(value: unknown, path: FieldPath): JsonValue {
    if (typeof value === 'bigint') {
      if (Number.isSafeInteger(Number(value))) return Number(value);
      this.refuse(path, `${value} is too large; numbers go up to ${Number.MAX_SAFE_INTEGER}`);
      return 0;
    }
    if (Array.isArray(value)) return value.map((item, index) => this.json(item, [...path, index]));
    if (value !== null && typeof value === 'object') {
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, this.json(item, [...path, key])]),
      );
    }
    if (typeof value === 'number' && !Number.isFinite(value)) {
      this.refuse(path, `${value} is not a number that JSON knows`);
      return 0;
    }
    return value === undefined ? null : (value as string | number | boolean | null);
  }
}

/** A value that JSON can say. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return `the text ${JSON.stringify(value)}`;
  return String(value);
}

function quoteHint(value: unknown): string {
  return typeof value === 'object' ? '' : `; write "${String(value)}" in quotes`;
}
