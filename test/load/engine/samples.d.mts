export class Samples {
  constructor(values?: Iterable<number>);
  static merged(sets: readonly Samples[]): Samples;
  readonly count: number;
  readonly median: number;
  readonly max: number;
  readonly mean: number;
  add(value: number): void;
  values(): Float64Array;
  quantile(share: number): number;
  countAbove(limit: number): number;
}
