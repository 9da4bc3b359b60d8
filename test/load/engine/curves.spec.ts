import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { curvesSvg, DRAWN_SECTIONS } from './curves.mjs';
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

  it('has a colour of its own for each of the curves of a whole run, and the 50 ms as a line among seconds', () => {
    const names = ['CreateRun', 'GetRun', 'GetRun', 'step', 'step', 'watcher', 'resume'];
    const all = curvesSvg(
      't',
      names.map((name, i) => ({ name, samples: ramp(i === 6 ? 300 : i + 1) })),
      50,
    );
    const colours = [...all.matchAll(/<polyline [^>]*stroke="(#\w+)"/g)].map(([, colour]) => colour);
    expect(new Set(colours).size).toBe(names.length);
    const [, limitX] = /<line x1="([\d.]+)"[^>]*stroke-dasharray/.exec(all) ?? [];
    const resumed = curvesOf(all)[6] ?? [];
    expect(Number(limitX)).toBeGreaterThan(resumed[0]?.[0] ?? 0);
    expect(Number(limitX)).toBeLessThan(resumed.at(-1)?.[0] ?? 0);
  });

  it('draws one value, too', () => {
    expect(curvesSvg('t', [{ name: 'one', samples: new Samples([3]) }], 50)).not.toContain('NaN');
  });
});

describe('--svg', () => {
  const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));

  it('is drawn from the sections that have distributions', () => {
    const drawn = readdirSync(folder('./sections'))
      .filter((file) =>
        /\bcurve\('|context\.curve\(/.test(readFileSync(folder(`./sections/${file}`), 'utf8')),
      )
      .map((file) => file.replace('.mjs', ''));
    expect(drawn.sort()).toEqual([...DRAWN_SECTIONS].sort());
  });

  it('is refused before anything is measured when none of the sections has one', async () => {
    const refused = promisify(execFile)(process.execPath, [
      folder('./run.mjs'),
      ...['--only', 'idle,start', '--svg', 'none.svg'],
    ]);
    await expect(refused).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--svg needs one of the sections overhead, rpc, watchers, resume'),
    });
  }, 30_000);
});
