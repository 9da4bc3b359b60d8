type Curve = readonly (readonly [step: number, nats: number])[];

export function gainFigure(
  runs: readonly {
    readonly name: string;
    readonly gain: number;
    readonly gainLow: number;
    readonly gainHigh: number;
    readonly curves: { readonly gain: Curve; readonly reward: Curve };
  }[],
  mean: { readonly mean: number; readonly low: number; readonly high: number },
  title: string,
): string;
