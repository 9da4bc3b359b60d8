import { readFileSync } from 'node:fs';
import {
  ArgumentError,
  backward,
  GraphError,
  Muon,
  matmul,
  mul,
  newtonSchulz,
  parameter,
  ShapeError,
  StateError,
  scope,
  sum,
  svd,
  type Tensor,
  tensor,
} from '@agentforge/tensor';

interface Listed {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Golden {
  readonly svd: readonly {
    readonly x: Listed;
    readonly u: Listed;
    readonly s: Listed;
    readonly vT: Listed;
  }[];
  readonly newtonSchulz: readonly { readonly x: Listed; readonly steps: number; readonly y: Listed }[];
  readonly muon: readonly {
    readonly initial: Listed;
    readonly steps: readonly { readonly gradient: Listed; readonly param: Listed }[];
  }[];
}

const golden = JSON.parse(
  readFileSync(new URL('../golden/tensor/matrix.json', import.meta.url), 'utf8'),
) as Golden;

const load = ({ data, shape }: Listed): Tensor => tensor(data, shape);

function worst(actual: Tensor, expected: Listed): number {
  expect(actual.shape).toEqual(expected.shape);
  const values = actual.toTypedArray();
  return expected.data.reduce(
    (top, value, i) => Math.max(top, Math.abs((values[i] ?? Number.NaN) - value)),
    0,
  );
}

const shapeOf = ({ x, initial }: { x?: Listed; initial?: Listed }): string => `[${(x ?? initial)?.shape}]`;

describe('svd() against LAPACK', () => {
  it.each(golden.svd.map((row) => ({ name: shapeOf(row), row })))('$name', ({ row }) => {
    scope(() => {
      const { u, s, vT } = svd(load(row.x));
      // f64 inside: what is left is one rounding to f32, of values up to s₀.
      expect(worst(s, row.s)).toBeLessThan(1e-6 * (row.s.data[0] ?? 1));
      expect(worst(u, row.u)).toBeLessThan(1e-6);
      expect(worst(vT, row.vT)).toBeLessThan(1e-6);
      const scaled = mul(u, s);
      expect(worst(matmul(scaled, vT), row.x)).toBeLessThan(1e-5);
    });
  });

  it('refuses what is not a matrix, not finite, or needs a gradient', () => {
    expect(() => svd(tensor([1, 2]))).toThrow(ShapeError);
    expect(() => svd(tensor([1, Number.NaN], [1, 2]))).toThrow(ArgumentError);
    expect(() => svd(parameter(tensor([1, 2], [1, 2])))).toThrow(GraphError);
  });
});

describe('newtonSchulz() against PyTorch', () => {
  it.each(golden.newtonSchulz.map((row) => ({ name: `${shapeOf(row)}, ${row.steps} steps`, row })))(
    '$name',
    ({ row }) => {
      // The map multiplies small singular values by 3.4 each step: f32 rounding of 6e-8 grows up to 500-fold.
      scope(() => expect(worst(newtonSchulz(load(row.x), row.steps), row.y)).toBeLessThan(3e-5));
    },
  );

  it('refuses what has no singular values', () => {
    expect(() => newtonSchulz(tensor([1, 2]))).toThrow(ShapeError);
    expect(() => newtonSchulz(tensor([1], [1, 1]), -1)).toThrow(ArgumentError);
  });
});

describe('Muon', () => {
  const optimizerOf = (x: Tensor): Muon => new Muon([{ params: new Map([['x', x]]) }]);
  const step = (x: Tensor, optimizer: Muon, gradient: Listed): void => {
    optimizer.zeroGrad();
    scope(() => backward(sum(mul(x, load(gradient)))));
    optimizer.step();
  };

  it.each(golden.muon.map((row) => ({ name: shapeOf(row), row })))(
    '$name: takes the steps of PyTorch',
    ({ row }) => {
      const x = parameter(load(row.initial));
      const optimizer = optimizerOf(x);
      for (const { gradient, param } of row.steps) {
        step(x, optimizer, gradient);
        expect(worst(x, param)).toBeLessThan(3e-6);
      }
      optimizer.dispose();
    },
  );

  it('goes on from an exported state with the same bytes', () => {
    const [row] = golden.muon;
    const gradients = (row?.steps ?? []).map(({ gradient }) => gradient);
    const initial = row?.initial as Listed;
    const straight = parameter(load(initial));
    const one = optimizerOf(straight);
    for (const gradient of gradients) step(straight, one, gradient);
    const halfway = parameter(load(initial));
    const two = optimizerOf(halfway);
    for (const gradient of gradients.slice(0, 2)) step(halfway, two, gradient);
    const three = optimizerOf(halfway);
    three.importState(two.exportState());
    for (const gradient of gradients.slice(2)) step(halfway, three, gradient);
    expect(three.stepCount).toBe(gradients.length);
    expect(halfway.toTypedArray()).toEqual(straight.toTypedArray());
  });

  it('refuses vectors, names twice, and states that do not fit, without changing anything', () => {
    const x = parameter(tensor([1, 2], [1, 2]));
    const params = new Map([['x', x]]);
    expect(() => new Muon([{ params: new Map([['v', parameter(tensor([1]))]]) }])).toThrow(ArgumentError);
    expect(() => new Muon([{ params }, { params }])).toThrow(ArgumentError);
    expect(() => new Muon([{ params: new Map([['y', tensor([1], [1, 1])]]) }])).toThrow(ArgumentError);
    const optimizer = optimizerOf(x);
    for (const state of [
      { step: -1, momenta: new Map([['x', new Float32Array(2)]]) },
      { step: 1, momenta: new Map([['y', new Float32Array(2)]]) },
      { step: 1, momenta: new Map([['x', new Float32Array(1)]]) },
      { step: 1, momenta: new Map() },
    ]) {
      expect(() => optimizer.importState(state)).toThrow(StateError);
    }
    expect(optimizer.stepCount).toBe(0);
  });

  it('leaves matrices without a gradient alone', () => {
    const x = parameter(tensor([1, 2], [1, 2]));
    optimizerOf(x).step();
    expect([...x.toTypedArray()]).toEqual([1, 2]);
  });
});
