import { AppError } from '@agentforge/errors';
import {
  allFinite,
  argmax,
  axpyInPlace,
  copyInto,
  copyRows,
  DtypeError,
  GraphError,
  globalNorm,
  mul,
  parameter,
  reshape,
  ShapeError,
  scaleInPlace,
  scope,
  silu,
  tensor,
  viewRows,
  zeros,
} from '../index.js';

describe('operations in place', () => {
  it('fill a key-value cache row by row, per batch through views', () => {
    const cache = zeros([2, 3, 2]);
    for (const batch of [0, 1]) {
      const rows = reshape(viewRows(cache, batch, batch + 1), [3, 2]);
      copyRows(rows, tensor([batch + 1, 10], [1, 2]), 1 + batch);
    }
    expect([...cache.toTypedArray()]).toEqual([0, 0, 1, 10, 0, 0, 0, 0, 0, 0, 2, 10]);
    expect(() => copyRows(reshape(viewRows(cache, 0, 1), [3, 2]), zeros([2, 2]), 2)).toThrow(AppError);
    expect(() => viewRows(cache, 1, 3)).toThrow('viewRows: rows 1..3 of [2,3,2]');
  });

  it('copy, add and scale', () => {
    const y = tensor([1, 2]);
    axpyInPlace(y, 10, tensor([1, 1]));
    scaleInPlace(y, 2);
    expect([...y.toTypedArray()]).toEqual([22, 24]);
    copyInto(y, tensor([7, 8]));
    expect([...y.toTypedArray()]).toEqual([7, 8]);
  });

  it('refuse other shapes and dtypes, and change nothing', () => {
    const y = tensor([1, 2]);
    expect(() => copyInto(y, tensor([1]))).toThrow(ShapeError);
    expect(() => copyInto(y, tensor(Int32Array.of(1, 2)))).toThrow(DtypeError);
    expect(() => axpyInPlace(y, 1, tensor([1]))).toThrow(ShapeError);
    expect([...y.toTypedArray()]).toEqual([1, 2]);
  });

  it('refuse what a graph computed or needs', () => {
    scope(() => {
      const x = parameter(tensor([1, 2]));
      const y = mul(x, 2);
      silu(y);
      for (const change of [
        () => scaleInPlace(y, 2),
        () => axpyInPlace(y, 1, x),
        () => copyInto(y, x),
        () => copyRows(y, x, 0),
      ]) {
        expect(change).toThrow(GraphError);
      }
      x.dispose();
    });
  });
});

describe('measures of several tensors', () => {
  it('see one NaN or infinity anywhere', () => {
    const good = tensor([1, 2, 3]);
    expect(allFinite([good])).toBe(true);
    expect(allFinite([good, tensor([0, Number.NaN])])).toBe(false);
    expect(allFinite([tensor([Number.NEGATIVE_INFINITY]), good])).toBe(false);
  });

  it('take the norm over all of them', () => {
    expect(globalNorm([tensor([3]), tensor([0, 4], [1, 2])])).toBeCloseTo(5, 12);
    expect(globalNorm([])).toBe(0);
  });

  it('give the first of equal maxima', () => {
    expect(argmax(tensor([1, 5, 5, 2])).item()).toBe(1);
    expect([...argmax(tensor([1, 0, 0, 3], [2, 2])).toTypedArray()]).toEqual([0, 1]);
  });
});
