import { readFileSync } from 'node:fs';
import {
  AdamW,
  abs,
  add,
  attention,
  backward,
  clipGradNorm,
  concat,
  crossEntropy,
  type DType,
  div,
  embedding,
  exp,
  gatherRows,
  linear,
  log,
  matmul,
  max,
  mean,
  mul,
  neg,
  parameter,
  permute,
  relu,
  relu2,
  rmsNorm,
  rope,
  scope,
  sigmoid,
  silu,
  slice,
  softmax,
  sqrt,
  sub,
  sum,
  swiglu,
  type Tensor,
  tanh,
  tensor,
} from '@agentforge/tensor';

interface Listed {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Case {
  readonly name: string;
  readonly op: string;
  readonly args: Record<string, unknown>;
  readonly inputs: readonly Listed[];
  readonly output: Listed;
  readonly dy: Listed;
  readonly gradients: readonly (Listed | null)[];
}

interface AdamWGolden {
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: readonly number[];
  readonly maxNorm: number;
  readonly initial: readonly Listed[];
  readonly steps: readonly {
    readonly lr: number;
    readonly gradients: readonly Listed[];
    readonly norm: number;
    readonly params: readonly Listed[];
  }[];
}

function golden<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(`../golden/tensor/${file}`, import.meta.url), 'utf8')) as T;
}

// The golden values are float64 results of float32 inputs: what is left is the rounding of the f32 ops,
// the largest of which is a sum of 13 products in softmax and attention gradients.
const TOLERANCE = 2e-6;

function expectClose(actual: Tensor | null, expected: Listed, name: string): void {
  expect({ name, shape: actual?.shape }).toEqual({ name, shape: expected.shape });
  const values = actual?.toTypedArray() ?? [];
  const scale = expected.data.reduce((top, value) => Math.max(top, Math.abs(value)), 1);
  const worst = expected.data.reduce((top, value, i) => {
    const error = Math.abs((values[i] ?? Number.NaN) - value) / scale;
    return Math.max(error, top);
  }, 0);
  expect({ name, worst, isClose: worst <= TOLERANCE }).toEqual({ name, worst, isClose: true });
}

function load({ data, shape, dtype }: Listed): Tensor {
  return tensor(data, shape, { dtype });
}

// One line per op of the file: arguments as the script that made it recorded them.
const OPS: Record<string, (x: Tensor[], args: never) => Tensor> = {
  add: (x) => add(...(x as [Tensor, Tensor])),
  sub: (x) => sub(...(x as [Tensor, Tensor])),
  mul: (x) => mul(...(x as [Tensor, Tensor])),
  div: (x) => div(...(x as [Tensor, Tensor])),
  exp: (x) => exp(...(x as [Tensor])),
  log: (x) => log(...(x as [Tensor])),
  sqrt: (x) => sqrt(...(x as [Tensor])),
  tanh: (x) => tanh(...(x as [Tensor])),
  sigmoid: (x) => sigmoid(...(x as [Tensor])),
  silu: (x) => silu(...(x as [Tensor])),
  relu: (x) => relu(...(x as [Tensor])),
  relu2: (x) => relu2(...(x as [Tensor])),
  neg: (x) => neg(...(x as [Tensor])),
  abs: (x) => abs(...(x as [Tensor])),
  softmax: (x) => softmax(...(x as [Tensor])),
  swiglu: (x) => swiglu(...(x as [Tensor, Tensor])),
  sum: (x, { axis }: { axis?: number }) => sum(x[0] as Tensor, axis),
  mean: (x, { axis }: { axis?: number }) => mean(x[0] as Tensor, axis),
  max: (x, { axis }: { axis?: number }) => max(x[0] as Tensor, axis),
  slice: (x, a: { axis: number; start: number; end: number }) =>
    slice(x[0] as Tensor, a.axis, a.start, a.end),
  concat: (x, { axis }: { axis: number }) => concat(x, axis),
  permute: (x, { axes }: { axes: number[] }) => permute(x[0] as Tensor, axes),
  gatherRows: (x) => gatherRows(...(x as [Tensor, Tensor])),
  embedding: (x) => embedding(...(x as [Tensor, Tensor])),
  matmul: (x, args: object) => matmul(x[0] as Tensor, x[1] as Tensor, args),
  linear: (x) => linear(...(x as [Tensor, Tensor, Tensor])),
  rmsNorm: (x, { eps }: { eps: number }) => rmsNorm(x[0] as Tensor, x[1] as Tensor, eps),
  rope: (x, args: object) => rope(x[0] as Tensor, args),
  attention: (x, args: object) => attention(x[0] as Tensor, x[1] as Tensor, x[2] as Tensor, args),
  crossEntropy: (x, args: object) => crossEntropy(x[0] as Tensor, x[1] as Tensor, args),
};

describe('values and gradients computed by PyTorch', () => {
  it.each(golden<{ cases: Case[] }>('ops.json').cases)('$name', (golden) => {
    scope(() => {
      const inputs = golden.inputs.map(load);
      for (const [i, input] of inputs.entries()) if (golden.gradients[i] !== null) parameter(input);
      const run = OPS[golden.op] as (x: Tensor[], args: unknown) => Tensor;
      const out = run(inputs, golden.args).keep();
      backward(sum(mul(out, load(golden.dy))));
      expectClose(out, golden.output, 'output');
      golden.gradients.forEach((gradient, i) => {
        if (gradient !== null) expectClose(inputs[i]?.grad ?? null, gradient, `gradient ${i}`);
      });
      for (const kept of [out, ...inputs]) kept.dispose();
    });
  });
});

describe('AdamW and clipGradNorm() against torch.optim.AdamW and clip_grad_norm_', () => {
  it('takes the same steps, with two decay groups, a changing rate and clipping', () => {
    const { betas, eps, weightDecay, maxNorm, initial, steps } = golden<AdamWGolden>('adamw.json');
    const params = initial.map((values) => parameter(load(values)));
    const groups = params.map((param, i) => ({
      params: new Map([[`p${i}`, param]]),
      weightDecay: weightDecay[i] as number,
    }));
    const optimizer = new AdamW(groups, { lr: 1, betas, eps });
    for (const step of steps) {
      optimizer.zeroGrad();
      scope(() => {
        const terms = params.map((param, i) => sum(mul(param, load(step.gradients[i] as Listed))));
        backward(add(...(terms as [Tensor, Tensor])));
      });
      const { norm, scale } = clipGradNorm(params, maxNorm);
      expect(Math.abs(norm - step.norm)).toBeLessThan(1e-6 * step.norm);
      optimizer.step({ lr: step.lr, gradScale: scale });
      params.forEach((param, i) => {
        expectClose(param, step.params[i] as Listed, `p${i} after step ${optimizer.stepCount}`);
      });
    }
  });
});

describe('values computed by hand', () => {
  const close = (actual: Tensor, expected: number[], digits: number): void => {
    const values = [...actual.toTypedArray()];
    for (const [i, value] of values.entries()) expect(value).toBeCloseTo(expected[i] ?? Number.NaN, digits);
    expect(actual.size).toBe(expected.length);
  };

  it('rmsNorm of 1 2 3 4', () => {
    const y = rmsNorm(tensor([1, 2, 3, 4]), tensor([1, 1, 1, 1]), 1e-5);
    close(y, [0.36514813, 0.73029626, 1.09544438, 1.46059251], 6);
  });

  it('silu of 1 2 3 4', () => {
    close(silu(tensor([1, 2, 3, 4])), [0.73105858, 1.76159416, 2.85772238, 3.92805516], 6);
  });

  it('rope of 1 2 3 4 at position 3, both pairings', () => {
    const x = tensor([1, 2, 3, 4], [1, 1, 1, 4]);
    close(rope(x, { position0: 3, pairing: 'norm' }), [-1.27223251, -1.83886499, 2.8786681, 4.08818664], 5);
    close(rope(x, { position0: 3, pairing: 'neox' }), [-1.41335252, 1.87911807, -2.82885748, 4.05819114], 5);
  });

  it('three steps of AdamW on one weight', () => {
    const w = parameter(tensor([1]));
    const optimizer = new AdamW([{ params: new Map([['w', w]]) }], { lr: 0.1, weightDecay: 0.1 });
    const after = [0.5, -0.25, 1].map((gradient) => {
      optimizer.zeroGrad();
      scope(() => backward(mul(w, gradient)));
      optimizer.step();
      return w.item();
    });
    close(tensor(after), [0.890000002, 0.854466299, 0.780110477], 6);
  });
});
