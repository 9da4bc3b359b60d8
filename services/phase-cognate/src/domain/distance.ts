/**
 * Relative distance of two models: ‖a - b‖ / (½ (‖a‖ + ‖b‖)) over all tensors together, summed in the order of their
 * names, so that the last digit does not depend on how the maps were made.
 * @param a, b  weights by name, same names and lengths
 * @returns 0 for equal models; about √2 for unrelated ones of one size
 */
export function relativeDistance(
  a: ReadonlyMap<string, Float32Array>,
  b: ReadonlyMap<string, Float32Array>,
): number {
  let difference = 0;
  let squareA = 0;
  let squareB = 0;
  for (const name of [...a.keys()].sort()) {
    const x = a.get(name);
    const y = b.get(name);
    if (!x || !y) continue;
    for (let i = 0; i < x.length; i++) {
      const p = x[i] as number;
      const q = y[i] as number;
      difference += (p - q) ** 2;
      squareA += p * p;
      squareB += q * q;
    }
  }
  const size = (Math.sqrt(squareA) + Math.sqrt(squareB)) / 2;
  return size === 0 ? 0 : Math.sqrt(difference) / size;
}
