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
  const x = axis(Math.min(...xs), Math.max(...xs), MARGIN.left, WIDTH - MARGIN.right);
  const y = axis(Math.min(...ys) / 1.5, Math.max(...ys) * 1.6, HEIGHT - MARGIN.bottom, MARGIN.top);
  const roof = (intensity) => Math.min(peakFlops, intensity * copyBytesPerSecond) / 1e9;
  const ridge = peakFlops / copyBytesPerSecond;
  const line = [x.low, ridge, x.high].map((at) => `${x.at(at)},${y.at(Math.max(roof(at), y.low))}`).join(' ');
  const marks = points.map(
    ({ name, shape, intensity, value }) =>
      `<circle cx="${x.at(intensity)}" cy="${y.at(value)}" r="4"><title>${xml(`${name} ${shape}: ${value.toFixed(1)} GFLOP/s`)}</title></circle>`,
  );
  const title = xml(`Roofline, ${cpu}, ${threads} threads`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<title>${title}</title>
<rect width="100%" height="100%" fill="white"/>
<text x="${MARGIN.left}" y="20" font-size="14">${title}</text>
<g stroke="#ddd" fill="#555">${grid(x, y)}</g>
<polyline points="${line}" fill="none" stroke="#b22" stroke-width="2"/>
<text x="${x.at(ridge)}" y="${y.at(peakFlops / 1e9) - 8}" fill="#b22">${(peakFlops / 1e9).toFixed(0)} GFLOP/s, ${(copyBytesPerSecond / 1e9).toFixed(1)} GB/s</text>
<g fill="#26c" fill-opacity="0.8">${marks.join('')}</g>
<text x="${WIDTH / 2}" y="${HEIGHT - 12}" text-anchor="middle">operations per byte (FLOP/B)</text>
<text transform="translate(16 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">GFLOP/s</text>
</svg>
`;
}

/** A logarithmic axis from pixel `from` to pixel `to`. */
function axis(low, high, from, to) {
  const scale = (to - from) / Math.log(high / low);
  return { low, high, at: (value) => Number((from + scale * Math.log(value / low)).toFixed(1)) };
}

function grid(x, y) {
  const powers = ({ low, high }) =>
    Array.from({ length: 24 }, (_, i) => 2 ** (i - 4)).filter((value) => value >= low && value <= high);
  const vertical = powers(x).map(
    (value) =>
      `<line x1="${x.at(value)}" x2="${x.at(value)}" y1="${MARGIN.top}" y2="${HEIGHT - MARGIN.bottom}"/><text stroke="none" x="${x.at(value)}" y="${HEIGHT - MARGIN.bottom + 16}" text-anchor="middle">${value}</text>`,
  );
  const horizontal = powers(y).map(
    (value) =>
      `<line y1="${y.at(value)}" y2="${y.at(value)}" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}"/><text stroke="none" x="${MARGIN.left - 6}" y="${y.at(value) + 4}" text-anchor="end">${value}</text>`,
  );
  return [...vertical, ...horizontal].join('');
}

function xml(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
