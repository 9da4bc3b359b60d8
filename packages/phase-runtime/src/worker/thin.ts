import type { CurvePoint } from './phase-context.js';

/**
 * Keeps at most `limit` points, spread evenly over each curve; first and last points of a curve stay when its share
 * of the limit is at least two.
 * @returns the same array when it is short enough
 */
export function thin(points: readonly CurvePoint[], limit: number): CurvePoint[] {
  if (points.length <= limit) return points.slice();
  const curves = new Map<string, CurvePoint[]>();
  for (const point of points) {
    const key = JSON.stringify([point.series, point.subject]);
    const curve = curves.get(key);
    if (curve) curve.push(point);
    else curves.set(key, [point]);
  }
  const share = Math.max(1, Math.floor(limit / curves.size));
  return [...curves.values()].slice(0, limit).flatMap((curve) => thinCurve(curve, share));
}

function thinCurve(curve: readonly CurvePoint[], limit: number): CurvePoint[] {
  if (curve.length <= limit) return curve.slice();
  if (limit === 1) return curve.slice(-1);
  return Array.from(
    { length: limit },
    (_, i) => curve[Math.round((i * (curve.length - 1)) / (limit - 1))] as CurvePoint,
  );
}
