import type { Samples } from './samples.mjs';

export function curvesSvg(
  title: string,
  curves: readonly { readonly name: string; readonly samples: Samples }[],
  limit: number,
): string;
