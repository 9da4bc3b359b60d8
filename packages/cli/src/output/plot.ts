import { formatNumber } from './units.js';

const BLOCKS = '▁▂▃▄▅▆▇█';

/** A line of blocks, one per bucket of `width`; the highest value is the highest block. */
export function sparkline(values: readonly number[], width: number): string {
  const points = resample(values.filter(Number.isFinite), width);
  if (points.length === 0) return '';
  const low = Math.min(...points);
  const span = Math.max(...points) - low;
  return points
    .map((value) => BLOCKS[span === 0 ? 0 : Math.round(((value - low) / span) * (BLOCKS.length - 1))])
    .join('');
}

/** One curve of a plot. */
export interface Curve {
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

/** Size of a plot in characters, axis included. */
export interface PlotSize {
  readonly columns: number;
  readonly rows: number;
}

/** Bits of a braille character by row (4) and column (2), Unicode 15 §21.1. */
const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

/**
 * Curves drawn with braille dots (2 × 4 per character) above one another, with the lowest and highest value at the
 * left. Empty when no curve has two points or the size is too small.
 */
export function plotCurves(curves: readonly Curve[], size: PlotSize): string[] {
  const all = curves
    .flatMap((curve) => curve.points)
    .filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const labels = [Math.max(...all.map(({ y }) => y)), Math.min(...all.map(({ y }) => y))] as const;
  const gutter = Math.max(...labels.map((value) => formatNumber(value).length)) + 1;
  const columns = size.columns - gutter - 1;
  if (all.length < 2 || columns < 8 || size.rows < 2) return [];
  const grid = Array.from({ length: size.rows }, () => new Uint8Array(columns));
  const dotColumns = columns * 2 - 1;
  const dotRows = size.rows * 4 - 1;
  const minX = Math.min(...all.map(({ x }) => x));
  const spanX = Math.max(...all.map(({ x }) => x)) - minX || 1;
  const spanY = labels[0] - labels[1] || 1;
  const mark = (column: number, row: number) => {
    const cell = grid[row >> 2];
    const dot = DOTS[row & 3]?.[column & 1];
    if (cell && dot !== undefined) cell[column >> 1] = (cell[column >> 1] ?? 0) | dot;
  };
  for (const { points } of curves) {
    let last: { column: number; row: number } | undefined;
    for (const { x, y } of points) {
      if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
      const column = Math.round(((x - minX) / spanX) * dotColumns);
      const row = Math.round(((labels[0] - y) / spanY) * dotRows);
      if (last) drawLine(last.column, last.row, column, row, mark);
      else mark(column, row);
      last = { column, row };
    }
  }
  return grid.map((cells, row) => {
    const label = row === 0 ? formatNumber(labels[0]) : row === size.rows - 1 ? formatNumber(labels[1]) : '';
    const axis = label === '' ? '│' : '┤';
    const text = [...cells].map((bits) => (bits === 0 ? ' ' : String.fromCodePoint(0x2800 + bits))).join('');
    return `${label.padStart(gutter)}${axis}${text.trimEnd()}`;
  });
}

/** `━━━━━━╸─────`, `columns` wide. */
export function progressBar(fraction: number, columns: number): { done: string; rest: string } {
  const clamped = Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0));
  const halves = Math.floor(clamped * columns * 2);
  const full = halves >> 1;
  const half = halves % 2 === 1 ? '╸' : '';
  return { done: '━'.repeat(full) + half, rest: '─'.repeat(Math.max(0, columns - full - half.length)) };
}

/** Means of `width` equal stretches; the values themselves when there are fewer. */
function resample(values: readonly number[], width: number): number[] {
  if (values.length <= width) return [...values];
  return Array.from({ length: width }, (_, index) => {
    const start = Math.floor((index * values.length) / width);
    const end = Math.max(start + 1, Math.floor(((index + 1) * values.length) / width));
    const part = values.slice(start, end);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

/** Every dot of a straight line (Bresenham 1965). */
function drawLine(
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  mark: (x: number, y: number) => void,
): void {
  const dx = Math.abs(x1 - x0);
  const dy = -Math.abs(y1 - y0);
  let x = x0;
  let y = y0;
  let error = dx + dy;
  for (;;) {
    mark(x, y);
    if (x === x1 && y === y1) return;
    const doubled = 2 * error;
    if (doubled >= dy) {
      error += dy;
      x += Math.sign(x1 - x0);
    }
    if (doubled <= dx) {
      error += dx;
      y += Math.sign(y1 - y0);
    }
  }
}
