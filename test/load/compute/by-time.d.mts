export function trainByTime(
  settings: {
    readonly seconds: number;
    readonly warmup: number;
    readonly peak: number;
    readonly clock?: () => number;
  },
  step: (rate: number) => void,
): number;
