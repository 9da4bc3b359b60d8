import type { Random } from './random.mjs';

export const COUNTS: readonly string[];

/** The next fault and the wait before it. */
export function nextFault(random: Random): {
  readonly waitMs: number;
  readonly fault: { readonly name: string; readonly counts: string };
  readonly details: Readonly<Record<string, unknown>>;
};
