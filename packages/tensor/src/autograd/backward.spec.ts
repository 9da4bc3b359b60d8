import {
  add,
  backward,
  concat,
  crossEntropy,
  detach,
  embedding,
  GraphError,
  isGradEnabled,
  linear,
  matmul,
  mul,
  noGrad,
  parameter,
  reshape,
  ShapeError,
  scope,
  slice,
  sum,
  type Tensor,
  tensor,
  zeroGrad,
} from '../index.js';

const leaf = (...values: number[]): Tensor => parameter(tensor(values));
const gradient = (x: Tensor): number[] => [...(x.grad?.toTypedArray() ?? [])];

describe('backward()', () => {
  it('adds up over uses of the same tensor, in every order of sharing', () => {
    scope(() => {
      const x = leaf(1, 2);
      const y = mul(x, 3);
      // y is passed on (shared), multiplied (exclusive), passed on again, and sliced
      backward(add(sum(add(add(y, mul(y, y)), y)), sum(slice(y, 0, 1, 2))));
      expect(gradient(x)).toEqual([3 * (2 + 2 * 3), 3 * (2 + 2 * 6) + 3]);
    });
  });

  it('gives a + a twice the gradient', () => {
    scope(() => {
      const x = leaf(1, 2);
      const y = mul(x, 1);
      backward(sum(add(y, y)));
      expect(gradient(x)).toEqual([2, 2]);
    });
  });

  it('does not let two inputs of an addition write to one buffer', () => {
    scope(() => {
      const [a, b] = [leaf(1, 2), leaf(3, 4)];
      const [p, q] = [mul(a, 1), mul(b, 1)];
      const both = add(p, q);
      backward(add(sum(both), sum(mul(p, p)))); // p gets more, q does not
      expect(gradient(a)).toEqual([3, 5]);
      expect(gradient(b)).toEqual([1, 1]);
    });
  });

  it('keeps gradients of leaves apart that shared one buffer, over two passes', () => {
    scope(() => {
      const [a, b] = [leaf(1, 2), leaf(3, 4)];
      backward(sum(add(a, b)));
      backward(sum(mul(a, 5)));
      expect(gradient(a)).toEqual([6, 6]);
      expect(gradient(b)).toEqual([1, 1]);
    });
  });

  it('accumulates over passes until zeroGrad(), also through matmul and embedding', () => {
    scope(() => {
      const [w, table] = [parameter(tensor([1, 2, 3, 4], [2, 2])), parameter(tensor([1, 2, 3, 4], [2, 2]))];
      const ids = tensor(Int32Array.of(1, 1, 0));
      const pass = (): void => backward(sum(linear(embedding(table, ids), w)));
      pass();
      const [once, onceTable] = [gradient(w), gradient(table)];
      expect(onceTable).toEqual([4, 6, 8, 12]);
      pass();
      expect(gradient(w)).toEqual(once.map((value) => 2 * value));
      expect(gradient(table)).toEqual(onceTable.map((value) => 2 * value));
      zeroGrad([w, table]);
      expect([w.grad, table.grad]).toEqual([null, null]);
      pass();
      expect([gradient(w), gradient(table)]).toEqual([once, onceTable]);
    });
  });

  it('forgets a gradient that was not finite', () => {
    scope(() => {
      const x = leaf(1);
      backward(mul(x, Number.POSITIVE_INFINITY));
      zeroGrad([x]);
      backward(matmulLoss(x));
      expect(gradient(x)).toEqual([2]);
    });
  });

  it('ties one table to input and output', () => {
    scope(() => {
      const table = parameter(tensor([0.5, -1, 2, 1], [2, 2]));
      const ids = tensor(Int32Array.of(0, 1));
      backward(crossEntropy(linear(embedding(table, ids), table), tensor(Int32Array.of(1, 0))));
      expect(gradient(table).every(Number.isFinite)).toBe(true);
      expect(gradient(table).some((value) => value !== 0)).toBe(true);
    });
  });

  it('does not overwrite logits that are kept or aliased', () => {
    scope(() => {
      const x = parameter(tensor([1, 2, 3, 4], [2, 2]));
      const targets = tensor(Int32Array.of(1, 0));
      const logits = mul(x, 2).keep();
      backward(crossEntropy(logits, targets));
      expect([...logits.toTypedArray()]).toEqual([2, 4, 6, 8]);
      const expected = gradient(x);
      for (const through of [(y: Tensor) => y, (y: Tensor) => reshape(y, [1, 2, 2])]) {
        zeroGrad([x]);
        backward(crossEntropy(through(mul(x, 2)), targets));
        expect(gradient(x)).toEqual(expected);
      }
    });
  });

  it('scales by the seed, and runs twice when the graph is retained', () => {
    scope(() => {
      const x = leaf(1, 2);
      const loss = sum(mul(x, x));
      backward(loss, { seed: 0.5, retainGraph: true });
      expect(gradient(x)).toEqual([1, 2]);
      backward(loss);
      expect(gradient(x)).toEqual([3, 6]);
      expect(() => backward(loss)).toThrow(GraphError);
    });
  });

  it('refuses a loss with several elements, or without a graph', () => {
    scope(() => {
      const x = leaf(1, 2);
      expect(() => backward(mul(x, 2))).toThrow(ShapeError);
      expect(() => backward(noGrad(() => sum(x)))).toThrow(GraphError);
    });
  });

  it('stops at detach() and records nothing under noGrad()', () => {
    scope(() => {
      const x = leaf(1, 2);
      backward(sum(add(mul(x, 2), mul(detach(mul(x, x)), 100))));
      expect(gradient(x)).toEqual([2, 2]);
      noGrad(() => {
        expect(isGradEnabled()).toBe(false);
        expect(mul(x, 2).requiresGrad).toBe(false);
      });
      expect(isGradEnabled()).toBe(true);
    });
  });

  it('gives gradients only to the parts of a concatenation that require them', () => {
    scope(() => {
      const x = leaf(1, 2);
      backward(sum(mul(concat([x, tensor([5])], 0), tensor([3, 4, 5]))));
      expect(gradient(x)).toEqual([3, 4]);
    });
  });
});

function matmulLoss(x: Tensor): Tensor {
  return sum(matmul(reshape(x, [1, 1]), tensor([2], [1, 1])));
}
