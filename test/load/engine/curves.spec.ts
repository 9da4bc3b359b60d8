import { curvesSvg } from './curves.mjs';
import { Samples } from './samples.mjs';

/** x of the points of each curve, in order. */
const curvesOf = (svg: string) =>
  [...svg.matchAll(/<polyline points="([^"]+)"/g)].map(([, points = '']) =>
    points.split(' ').map((point) => point.split(',').map(Number) as [number, number]),
  );

describe('curvesSvg()', () => {
  const ramp = (factor: number) =>
    new Samples(Array.from({ length: 10_000 }, (_, i) => ((i + 1) / 1000) * factor));
  const svg = curvesSvg(
    'a < b',
    [
      { name: 'slow & late', samples: ramp(100) },
      { name: 'quick', samples: ramp(1) },
    ],
    50,
  );

  it('has one curve per distribution, which never goes back', () => {
    const curves = curvesOf(svg);
    expect(curves).toHaveLength(2);
    for (const points of curves)
      for (const [i, [x, y]] of points.entries()) {
        const [formerX, formerY] = points[Math.max(0, i - 1)] as [number, number];
        expect(x).toBeGreaterThanOrEqual(formerX);
        expect(y).toBeLessThanOrEqual(formerY);
      }
  });

  it('has a logarithmic time axis: a hundred times slower is the same distance everywhere', () => {
    const [slow = [], quick = []] = curvesOf(svg);
    const distances = [60, 120, 240].map((i) => (slow[i]?.[0] ?? 0) - (quick[i]?.[0] ?? 0));
    for (const distance of distances) expect(Math.abs(distance - (distances[0] ?? 0))).toBeLessThan(0.3);
  });

  it('escapes what it is told', () => {
    expect(svg).toContain('<title>a &#60; b</title>');
    expect(svg).toContain('slow &#38; late');
  });

  it('draws one value, too', () => {
    expect(curvesSvg('t', [{ name: 'one', samples: new Samples([3]) }], 50)).not.toContain('NaN');
  });
});
