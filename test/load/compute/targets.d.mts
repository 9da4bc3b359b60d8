import type { Figure } from './figures.mjs';

export function judged(
  figure: Figure,
): Figure & { readonly target: number | null; readonly met: boolean | null };
