/** A point of a curve, as the runtime streams it. */
export interface ThinkingCurvePoint {
  readonly series: string;
  readonly subject: string;
  readonly step: number;
  readonly value: number;
}

/** Curves as the report holds them. */
export interface Curve {
  readonly series: string;
  readonly subject: string;
  readonly points: readonly (readonly [number, number])[];
}

/** Most points of a curve in the report. */
const MAX_POINTS = 400;

/** Whether a step's points are kept: depends on the step alone, so that an interrupted run keeps the same ones. */
export function isKept(step: number, steps: number): boolean {
  return step === 1 || step === steps || step % Math.ceil(steps / MAX_POINTS) === 0;
}

/** Points as curves, in order of their first point. */
export function curvesOf(points: readonly ThinkingCurvePoint[]): Curve[] {
  const curves = new Map<string, Curve & { points: [number, number][] }>();
  for (const { series, subject, step, value } of points) {
    const key = `${series}\n${subject}`;
    const curve = curves.get(key) ?? { series, subject, points: [] };
    curve.points.push([step, value]);
    curves.set(key, curve);
  }
  return [...curves.values()];
}
