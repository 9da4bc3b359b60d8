import type { Shape, TensorData } from './dtype.js';

const EDGE = 3; // items shown at each end of a long axis, as numpy does
const LONGEST = 8;

function formatNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  return Number(value.toPrecision(5)).toString();
}

/** Nested brackets around the elements; axes longer than 8 show three items at each end. */
export function formatTensor(data: TensorData, shape: Shape): string {
  let position = 0;
  const sizes = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
  const write = (axis: number, indent: string): string => {
    if (axis === shape.length) return formatNumber(data[position++] ?? Number.NaN);
    const length = shape[axis] ?? 0;
    const step = sizes[axis] ?? 1;
    const parts: string[] = [];
    for (let i = 0; i < length; i++) {
      if (length > LONGEST && i === EDGE) {
        parts.push('…');
        position += step * (length - 2 * EDGE);
        i = length - EDGE;
      }
      parts.push(write(axis + 1, `${indent} `));
    }
    const isInnermost = axis === shape.length - 1;
    return `[${parts.join(isInnermost ? ', ' : `,\n${indent} `)}]`;
  };
  return write(0, '');
}
