import type { Samples } from './samples.mjs';

export const DRAWN_SECTIONS: readonly string[];

export function curvesSvg(
  title: string,
  curves: readonly { readonly name: string; readonly samples: Samples }[],
  limit: number,
): string;
