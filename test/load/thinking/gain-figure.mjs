import { curve, figure, horizontalLines, linearAxis, verticalLines, xml } from '../svg.mjs';

const WIDTH = 720;
const TOP = 60;
const LEFT = { from: 56, to: 380 };
const RIGHT = { from: 480, to: 700 };
const ROW = 26;
const COLOURS = { gain: '#26c', reward: '#a60' };

/**
 * What learning to think did: at the left by step, gain over the pauses on the fitness split and mean size of the rewards, means
 * over the runs; at the right by run the gain that judges, with its bootstrap interval, and the mean of all with that over the runs.
 * Deterministic.
 * @param runs  [{name, gain, gainLow, gainHigh, curves: {gain, reward}}], curves as [step, nats]
 * @param mean  {mean, low, high} over the runs
 */
export function gainFigure(runs, mean, title) {
  const bottom = TOP + Math.max(180, ROW * (runs.length + 1));
  const height = bottom + 56;
  return figure({ width: WIDTH, height, title, left: 16 }, [
    learning(runs, bottom),
    judged(runs, mean, bottom),
    `<text x="${middle(LEFT)}" y="${height - 12}" text-anchor="middle">step</text>`,
    `<text x="${middle(RIGHT)}" y="${height - 12}" text-anchor="middle">gain over pauses, nats/token, 95 %</text>`,
  ]);
}

function learning(runs, bottom) {
  const curves = { gain: meanCurve(runs, 'gain'), reward: meanCurve(runs, 'reward') };
  const points = Object.values(curves).flat();
  const low = Math.min(0, ...points.map(([, value]) => value));
  const high = Math.max(1e-6, ...points.map(([, value]) => value));
  const x = linearAxis(0, Math.max(1, ...points.map(([step]) => step)), LEFT.from, LEFT.to);
  const y = linearAxis(low, high, bottom, TOP);
  const labels = { gain: 'gain on all of the text, nats/token', reward: 'mean size of rewards, nats' };
  const grid =
    verticalLines(x, ticks(x, 4), TOP, bottom) + horizontalLines(y, ticks(y, 4), LEFT.from, LEFT.to);
  const drawn = Object.keys(curves).map((name, i) => {
    const at = curves[name].map(([step, value]) => [x.at(step), y.at(value)]);
    const label = `<text x="${LEFT.from + 8 + 172 * i}" y="${TOP - 10}" fill="${COLOURS[name]}">${xml(labels[name])}</text>`;
    return curve(at, COLOURS[name], labels[name]) + label;
  });
  return `<g stroke="#ddd" fill="#555">${grid}</g>${drawn.join('')}`;
}

function judged(runs, mean, bottom) {
  const rows = [
    ...runs.map(({ name, gain, gainLow, gainHigh }) => ({ name, at: gain, low: gainLow, high: gainHigh })),
    { name: 'mean of runs', at: mean.mean, low: mean.low, high: mean.high },
  ];
  const low = Math.min(0, ...rows.map((row) => row.low));
  const high = Math.max(0, ...rows.map((row) => row.high));
  const pad = 0.05 * (high - low || 1);
  const x = linearAxis(low - pad, high + pad, RIGHT.from, RIGHT.to);
  const marks = rows.map((row, i) => {
    const y = TOP + ROW * (i + 0.5);
    const colour = i === runs.length ? '#b22' : COLOURS.gain;
    return [
      `<text x="${RIGHT.from - 8}" y="${y + 4}" text-anchor="end">${xml(row.name)}</text>`,
      `<line x1="${x.at(row.low)}" x2="${x.at(row.high)}" y1="${y}" y2="${y}" stroke="${colour}" stroke-width="3"/>`,
      `<circle cx="${x.at(row.at)}" cy="${y}" r="4" fill="${colour}"/>`,
    ].join('');
  });
  const zero = `<line x1="${x.at(0)}" x2="${x.at(0)}" y1="${TOP}" y2="${bottom}" stroke="#888" stroke-dasharray="4 3"/>`;
  const grid = verticalLines(x, ticks(x, 3), TOP, bottom);
  return `<g stroke="#ddd" fill="#555">${grid}</g>${zero}${marks.join('')}`;
}

/** Mean over the runs at each step that all of them have. */
function meanCurve(runs, name) {
  const [first] = runs;
  return first.curves[name].map(([step], i) => {
    const values = runs.map(({ curves }) => curves[name][i][1]);
    return [step, values.reduce((sum, value) => sum + value, 0) / values.length];
  });
}

/** Round values inside an axis, about `count` of them. */
function ticks({ low, high }, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(6)));
}

const middle = ({ from, to }) => (from + to) / 2;
