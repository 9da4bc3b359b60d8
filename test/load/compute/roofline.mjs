import { figure, horizontalLines, logAxis, verticalLines, xml } from '../svg.mjs';

const WIDTH = 720;
const HEIGHT = 440;
const MARGIN = { left: 64, right: 24, top: 40, bottom: 52 };

/**
 * Roofline of the measured dense products: GFLOP/s over operations per byte, under the measured peak and bandwidth.
 * @see Williams, Waterman & Patterson 2009, CACM 52(4)
 */
export function rooflineSvg({ peakFlops, copyBytesPerSecond, cpu, threads }, figures) {
  const points = figures.filter(
    ({ intensity, reference }) => intensity > 0 && reference === 'multiply-add peak',
  );
  const xs = [0.25, ...points.map(({ intensity }) => intensity), 512];
  const ys = [0.5, ...points.map(({ value }) => value), peakFlops / 1e9];
  const x = logAxis(Math.min(...xs), Math.max(...xs), MARGIN.left, WIDTH - MARGIN.right);
  const y = logAxis(Math.min(...ys) / 1.5, Math.max(...ys) * 1.6, HEIGHT - MARGIN.bottom, MARGIN.top);
  const roof = (intensity) => Math.min(peakFlops, intensity * copyBytesPerSecond) / 1e9;
  const ridge = peakFlops / copyBytesPerSecond;
  const line = [x.low, ridge, x.high].map((at) => `${x.at(at)},${y.at(Math.max(roof(at), y.low))}`).join(' ');
  const marks = points.map(
    ({ name, shape, intensity, value }) =>
      `<circle cx="${x.at(intensity)}" cy="${y.at(value)}" r="4"><title>${xml(`${name} ${shape}: ${value.toFixed(1)} GFLOP/s`)}</title></circle>`,
  );
  const title = `Roofline, ${cpu}, ${threads} threads`;
  return figure({ width: WIDTH, height: HEIGHT, title, left: MARGIN.left }, [
    `<g stroke="#ddd" fill="#555">${grid(x, y)}</g>`,
    `<polyline points="${line}" fill="none" stroke="#b22" stroke-width="2"/>`,
    `<text x="${x.at(ridge)}" y="${y.at(peakFlops / 1e9) - 8}" fill="#b22">${(peakFlops / 1e9).toFixed(0)} GFLOP/s, ${(copyBytesPerSecond / 1e9).toFixed(1)} GB/s</text>`,
    `<g fill="#26c" fill-opacity="0.8">${marks.join('')}</g>`,
    `<text x="${WIDTH / 2}" y="${HEIGHT - 12}" text-anchor="middle">operations per byte (FLOP/B)</text>`,
    `<text transform="translate(16 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">GFLOP/s</text>`,
  ]);
}

function grid(x, y) {
  const powers = ({ low, high }) =>
    Array.from({ length: 24 }, (_, i) => 2 ** (i - 4)).filter((value) => value >= low && value <= high);
  return (
    verticalLines(x, powers(x), MARGIN.top, HEIGHT - MARGIN.bottom) +
    horizontalLines(y, powers(y), MARGIN.left, WIDTH - MARGIN.right)
  );
}
