import { curve, figure, horizontalLines, linearAxis, logAxis, verticalLines, xml } from '../svg.mjs';

const WIDTH = 720;
const HEIGHT = 400;
const MARGIN = { left: 64, right: 150, top: 40, bottom: 52 };
/** Shares that get a line: each step is a tenth of those that are slower. */
const SHARES = [0, 0.9, 0.99, 0.999, 0.9999];
const COLOURS = ['#26c', '#b22', '#282', '#a60', '#727', '#088', '#555', '#c3a'];
/** Sections that have distributions. */
export const DRAWN_SECTIONS = ['overhead', 'rpc', 'watchers', 'resume'];
/** Points of a curve: more are not visible. */
const POINTS = 240;

/**
 * Distributions of times: share of all that took no longer than a time, the time on a logarithmic axis, the share so that
 * each tenth of the slowest takes the same height.
 * @param curves  [{name, samples}], ms
 * @param limit   marked with a line, ms
 */
export function curvesSvg(title, curves, limit) {
  const slowest = Math.max(limit, ...curves.map(({ samples }) => samples.max));
  const fastest = Math.min(limit, ...curves.map(({ samples }) => Math.max(0.01, samples.quantile(0))));
  const low = 10 ** Math.floor(Math.log10(fastest));
  const high = 10 ** Math.ceil(Math.log10(slowest));
  const x = logAxis(low, high, MARGIN.left, WIDTH - MARGIN.right);
  const bottom = HEIGHT - MARGIN.bottom;
  const y = linearAxis(0, 4, bottom, MARGIN.top);
  const lines = curves.map(({ name, samples }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const path = pointsOf(samples).map(([share, ms]) => [x.at(ms), y.at(ninesOf(share))]);
    const labelY = MARGIN.top + 14 + i * 18;
    const label = `<text x="${WIDTH - MARGIN.right + 12}" y="${labelY}" fill="${colour}">${xml(name)}</text>`;
    const facts = `p50 ${samples.median.toFixed(1)}, p99 ${samples.quantile(0.99).toFixed(1)} ms`;
    return curve(path, colour, `${name}: ${facts}`) + label;
  });
  return figure({ width: WIDTH, height: HEIGHT, title, left: MARGIN.left }, [
    `<g stroke="#ddd" fill="#555">${grid(x, y, bottom)}</g>`,
    `<line x1="${x.at(limit)}" x2="${x.at(limit)}" y1="${MARGIN.top}" y2="${bottom}" stroke="#888" stroke-dasharray="4 3"/>`,
    ...lines,
    `<text x="${(MARGIN.left + WIDTH - MARGIN.right) / 2}" y="${HEIGHT - 12}" text-anchor="middle">ms (dashed: ${limit} ms)</text>`,
    `<text transform="translate(16 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">share of all</text>`,
  ]);
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

function grid(x, y, bottom) {
  const decades = Math.round(Math.log10(x.high / x.low)) + 1;
  const powers = Array.from({ length: decades }, (_, i) => x.low * 10 ** i);
  const nines = new Map(SHARES.map((share) => [ninesOf(share), `${Number((share * 100).toFixed(2))} %`]));
  return (
    verticalLines(x, powers, MARGIN.top, bottom, (ms) => String(Number(ms.toPrecision(1)))) +
    horizontalLines(y, [...nines.keys()], MARGIN.left, WIDTH - MARGIN.right, (nine) => nines.get(nine))
  );
}
