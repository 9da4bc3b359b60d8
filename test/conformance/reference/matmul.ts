import { at, axis, build, type Dense } from './dense.js';

// Taken out of Math once: looking a global up costs a microsecond inside jest's sandbox.
const { abs, floor, fround, log2 } = Math;

/** Σₖ op(a)[m,k] · op(b)[k,n] for matrices, batches of them, or rows of a against one matrix b. */
export function matmul(a: Dense, b: Dense, transA = false, transB = false): Dense {
  const [m, depth] = transA ? [axis(a, -1), axis(a, -2)] : [axis(a, -2), axis(a, -1)];
  const n = transB ? axis(b, -2) : axis(b, -1);
  const isOneB = b.shape.length === 2;
  return build([...a.shape.slice(0, -2), m, n], (i) => {
    const [column, row, batch] = [i % n, floor(i / n) % m, floor(i / (n * m))];
    const offsetB = isOneB ? 0 : batch * depth * n;
    let total = 0;
    for (let k = 0; k < depth; k++) {
      const x = at(a, batch * m * depth + (transA ? k * m + row : row * depth + k));
      total += x * at(b, offsetB + (transB ? column * depth + k : k * n + column));
    }
    return total;
  });
}

/** The nearest numbers with eight significant bits, of two as near the even one: bf16 for finite numbers in its range. */
export function toBf16(x: Dense): Dense {
  return build(x.shape, (i) => {
    const value = fround(at(x, i));
    if (value === 0) return value;
    const unit = 2 ** (floor(log2(abs(value))) - 7);
    const [below, rest] = [floor(value / unit), value / unit - floor(value / unit)];
    const isUp = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
    return (isUp ? below + 1 : below) * unit;
  });
}
