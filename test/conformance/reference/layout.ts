import { around, at, axis, build, count, type Dense } from './dense.js';

// Taken out of Math once: looking a global up costs a microsecond inside jest's sandbox.
const { floor } = Math;

/** Elements start ≤ i < end along one axis. */
export function slice(x: Dense, along: number, start: number, end: number): Dense {
  const { length, inner } = around(x, along);
  const width = (end - start) * inner;
  return build(
    x.shape.map((n, i) => (i === along ? end - start : n)),
    (i) => at(x, floor(i / width) * length * inner + start * inner + (i % width)),
  );
}

/** Two arrays joined along one axis. */
export function concat(a: Dense, b: Dense, along: number): Dense {
  const [left, right] = [around(a, along), around(b, along)];
  const [widthA, widthB] = [left.length * left.inner, right.length * right.inner];
  return build(
    a.shape.map((n, i) => (i === along ? n + axis(b, along) : n)),
    (i) => {
      const outer = floor(i / (widthA + widthB));
      const rest = i % (widthA + widthB);
      return rest < widthA ? at(a, outer * widthA + rest) : at(b, outer * widthB + rest - widthA);
    },
  );
}

/** Axis i of the result is axis axes[i] of x. */
export function permute(x: Dense, axes: readonly number[]): Dense {
  const strides = x.shape.map((_, i) => count(x.shape.slice(i + 1)));
  const shape = axes.map((from) => axis(x, from));
  return build(shape, (i) => {
    let rest = i;
    let source = 0;
    for (let k = axes.length - 1; k >= 0; k--) {
      const length = shape[k] ?? 1;
      source += (rest % length) * (strides[axes[k] ?? 0] ?? 1);
      rest = floor(rest / length);
    }
    return at(x, source);
  });
}

/** Rows of x by index. */
export function gatherRows(x: Dense, index: Dense): Dense {
  const width = count(x.shape.slice(1));
  return build([...index.shape, ...x.shape.slice(1)], (i) => {
    return at(x, at(index, floor(i / width)) * width + (i % width));
  });
}
