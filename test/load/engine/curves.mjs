const WIDTH = 720;
const HEIGHT = 400;
const MARGIN = { left: 64, right: 150, top: 40, bottom: 52 };
/** Shares that get a line: each step is a tenth of those that are slower. */
const SHARES = [0, 0.9, 0.99, 0.999, 0.9999];
const COLOURS = ['#26c', '#b22', '#282', '#a60', '#727', '#088'];
/** Points of a curve: more are not visible. */
const POINTS = 240;

/**
 * Distributions of latencies: share of the requests that were answered within a time, the time on a logarithmic axis,
 * the share so that each tenth of the slowest takes the same height.
 * @param curves  [{name, samples}], ms
 * @param limit   marked with a line, ms
 */
export function curvesSvg(title, curves, limit) {
  const slowest = Math.max(limit, ...curves.map(({ samples }) => samples.max));
  const fastest = Math.min(limit, ...curves.map(({ samples }) => Math.max(0.01, samples.quantile(0))));
  const low = 10 ** Math.floor(Math.log10(fastest));
  const high = 10 ** Math.ceil(Math.log10(slowest));
  const x = (ms) =>
    round(
      MARGIN.left +
        ((WIDTH - MARGIN.left - MARGIN.right) * Math.log(Math.max(ms, low) / low)) / Math.log(high / low),
    );
  const bottom = HEIGHT - MARGIN.bottom;
  const y = (share) => round(bottom - ((bottom - MARGIN.top) * ninesOf(share)) / 4);
  const lines = curves.map(({ name, samples }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const path = pointsOf(samples).map(([share, ms]) => `${x(ms)},${y(share)}`);
    const labelY = MARGIN.top + 14 + i * 18;
    const label = `<text x="${WIDTH - MARGIN.right + 12}" y="${labelY}" fill="${colour}">${xml(name)}</text>`;
    return `<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"><title>${xml(name)}: p50 ${samples.median.toFixed(1)}, p99 ${samples.quantile(0.99).toFixed(1)} ms</title></polyline>${label}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<title>${xml(title)}</title>
<rect width="100%" height="100%" fill="white"/>
<text x="${MARGIN.left}" y="20" font-size="14">${xml(title)}</text>
<g stroke="#ddd" fill="#555">${grid(low, high, x, y, bottom)}</g>
<line x1="${x(limit)}" x2="${x(limit)}" y1="${MARGIN.top}" y2="${bottom}" stroke="#888" stroke-dasharray="4 3"/>
${lines.join('\n')}
<text x="${(MARGIN.left + WIDTH - MARGIN.right) / 2}" y="${HEIGHT - 12}" text-anchor="middle">ms from the time at which the request was due (dashed: ${limit} ms)</text>
<text transform="translate(16 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">share answered</text>
</svg>
`;
}

/** How often the rest is divided by ten: 0.9 is 1, 0.99 is 2; at most 4. */
function ninesOf(share) {
  return share >= 0.9999 ? 4 : -Math.log10(1 - share);
}

/** Shares and times, evenly spread over the nines; no share that fewer than one value stands for. */
function pointsOf(samples) {
  const last = ninesOf(1 - 1 / Math.max(2, samples.count));
  return Array.from({ length: POINTS + 1 }, (_, i) => {
    const share = 1 - 10 ** (-(last * i) / POINTS);
    return [share, samples.quantile(share)];
  });
}

function grid(low, high, x, y, bottom) {
  const powers = Array.from({ length: Math.round(Math.log10(high / low)) + 1 }, (_, i) => low * 10 ** i);
  const vertical = powers.map(
    (ms) =>
      `<line x1="${x(ms)}" x2="${x(ms)}" y1="${MARGIN.top}" y2="${bottom}"/><text stroke="none" x="${x(ms)}" y="${bottom + 16}" text-anchor="middle">${Number(ms.toPrecision(1))}</text>`,
  );
  const horizontal = SHARES.map(
    (share) =>
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(share)}" y2="${y(share)}"/><text stroke="none" x="${MARGIN.left - 6}" y="${y(share) + 4}" text-anchor="end">${Number((share * 100).toFixed(2))} %</text>`,
  );
  return [...vertical, ...horizontal].join('');
}

const round = (value) => Number(value.toFixed(1));

function xml(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
