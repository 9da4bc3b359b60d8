import { readFileSync } from 'node:fs';
import {
  AdamW,
  ArgumentError,
  backward,
  categorical,
  dropout,
  keyRanges,
  klDivergence,
  linearScan,
  mul,
  Philox,
  parameter,
  rangedAttention,
  StateError,
  scope,
  slice,
  sum,
  type Tensor,
  tensor,
  topK,
} from '@agentforge/tensor';

interface Listed {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Case {
  readonly op: 'klDivergence' | 'linearScan' | 'rangedAttention';
  readonly args: { readonly mask?: readonly (readonly number[])[] };
  readonly inputs: readonly Listed[];
  readonly output: Listed;
  readonly dy: Listed;
  readonly gradients: readonly Listed[];
}

interface Golden {
  readonly cases: readonly Case[];
  readonly grokfast: {
    readonly initial: Listed;
    readonly steps: readonly { readonly gradient: Listed; readonly param: Listed }[];
  };
}

const golden = JSON.parse(
  readFileSync(new URL('../golden/tensor/training.json', import.meta.url), 'utf8'),
) as Golden;

const load = ({ data, shape }: Listed): Tensor => tensor(data, shape);

/** Largest difference, relative to the largest expected magnitude, at least 1. */
function worst(actual: Tensor | null | undefined, expected: Listed): number {
  const values = actual?.toTypedArray() ?? [];
  const scale = expected.data.reduce((top, value) => Math.max(top, Math.abs(value)), 1);
  return expected.data.reduce(
    (top, value, i) => Math.max(top, Math.abs((values[i] ?? Number.NaN) - value) / scale),
    0,
  );
}

function run({ op, args }: Case, [a, b, c]: readonly Tensor[]): Tensor {
  if (op === 'klDivergence') return klDivergence(a as Tensor, b as Tensor, { reduction: 'none' });
  if (op === 'linearScan') return linearScan(a as Tensor, b as Tensor, c);
  const mask = args.mask ?? [];
  const ranges = keyRanges(mask.length, mask[0]?.length ?? 0, (query, key) => mask[query]?.[key] === 1);
  return rangedAttention(a as Tensor, b as Tensor, c as Tensor, ranges, { scale: 0.5 });
}

describe('values and gradients computed by PyTorch', () => {
  it.each(golden.cases.map((row) => ({ op: row.op, row })))('$op', ({ row }) => {
    scope(() => {
      const inputs = row.inputs.map((input) => parameter(load(input)));
      const out = run(row, inputs).keep();
      backward(sum(mul(out, load(row.dy))));
      // float64 results of float32 inputs: the rounding of sums of a dozen f32 products is left.
      expect(worst(out, row.output)).toBeLessThan(2e-6);
      row.gradients.forEach((gradient, i) => {
        expect(worst(inputs[i]?.grad, gradient)).toBeLessThan(2e-6);
      });
      for (const kept of [out, ...inputs]) kept.dispose();
    });
  });
});

describe('AdamW with grokfast', () => {
  const filter = { alpha: 0.98, lambda: 2 };
  const optimizerOf = (x: Tensor): AdamW =>
    new AdamW([{ params: new Map([['x', x]]) }], {
      lr: 1e-2,
      betas: [0.9, 0.95],
      weightDecay: 0.1,
      grokfast: filter,
    });
  const step = (x: Tensor, optimizer: AdamW, gradient: Listed): void => {
    optimizer.zeroGrad();
    scope(() => backward(sum(mul(x, load(gradient)))));
    optimizer.step({ gradScale: 0.5 });
  };
  const { initial, steps } = golden.grokfast;

  it('takes the steps of PyTorch behind the filter', () => {
    const x = parameter(load(initial));
    const optimizer = optimizerOf(x);
    for (const { gradient, param } of steps) {
      step(x, optimizer, gradient);
      expect(worst(x, param)).toBeLessThan(2e-6);
    }
  });

  it('filters 1, 2, −1, 0.5 to 3, 4.04, 0.9592, 2.440016', () => {
    const x = parameter(tensor([0]));
    const optimizer = new AdamW([{ params: new Map([['x', x]]) }], {
      lr: 0,
      betas: [0, 0],
      grokfast: filter,
    });
    const filtered = [1, 2, -1, 0.5].map((gradient) => {
      optimizer.zeroGrad();
      scope(() => backward(mul(x, gradient)));
      optimizer.step();
      return optimizer.exportState().moments.get('x')?.m[0]; // with beta1 = 0 the first moment is the gradient
    });
    [3, 4.04, 0.9592, 2.440016].forEach((expected, i) => {
      expect(filtered[i]).toBeCloseTo(expected, 5);
    });
  });

  it('goes on from an exported state with the same bytes, at the start and later', () => {
    for (const half of [0, 3]) {
      const [straight, halfway] = [parameter(load(initial)), parameter(load(initial))];
      const [one, two, three] = [optimizerOf(straight), optimizerOf(halfway), optimizerOf(halfway)];
      for (const { gradient } of steps) step(straight, one, gradient);
      for (const { gradient } of steps.slice(0, half)) step(halfway, two, gradient);
      three.importState(two.exportState());
      for (const { gradient } of steps.slice(half)) step(halfway, three, gradient);
      expect(halfway.toTypedArray()).toEqual(straight.toTypedArray());
    }
  });

  it('refuses a running gradient of another size', () => {
    const optimizer = optimizerOf(parameter(tensor([1])));
    const moments = { m: new Float32Array(1), v: new Float32Array(1), mu: new Float32Array(2) };
    expect(() => optimizer.importState({ step: 1, moments: new Map([['x', moments]]) })).toThrow(StateError);
  });
});

describe('categorical()', () => {
  it('draws each index as often as its probability says', () => {
    const probabilities = [0.5, 0.3, 0.15, 0.05];
    const rows = 20000;
    const logits = Array.from({ length: rows }, () => probabilities.map(Math.log)).flat();
    const counts = [0, 0, 0, 0];
    scope(() => {
      for (const index of categorical(tensor(logits, [rows, 4]), new Philox(3)).toTypedArray()) {
        counts[index] = (counts[index] ?? 0) + 1;
      }
    });
    probabilities.forEach((p, i) => {
      const deviation = Math.sqrt((p * (1 - p)) / rows);
      expect(Math.abs((counts[i] ?? 0) / rows - p)).toBeLessThan(5 * deviation);
    });
  });

  it('is a function of the stream, never draws what is ruled out, and takes one row of any length', () => {
    const never = Number.NEGATIVE_INFINITY;
    const logits = tensor([never, 2, never, 2, never], [5]);
    const draw = (seed: number): number => categorical(logits, new Philox(seed)).item();
    const drawn = Array.from({ length: 50 }, (_, seed) => draw(seed));
    expect(new Set(drawn)).toEqual(new Set([1, 3]));
    expect(Array.from({ length: 50 }, (_, seed) => draw(seed))).toEqual(drawn);
    const stream = new Philox(1);
    categorical(logits, stream);
    expect(stream.state.counter).toBe('4');
  });

  it.each([
    [[Number.NaN, 1]],
    [[Number.POSITIVE_INFINITY, 1]],
    [[Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]],
  ])('refuses logits %j', (logits) => {
    expect(() => categorical(tensor(logits), new Philox(1))).toThrow(ArgumentError);
  });
});

describe('dropout()', () => {
  it('keeps the expectation, and uses the same mask backwards', () => {
    const x = parameter(tensor(new Float32Array(40000).fill(1)));
    scope(() => {
      const out = dropout(x, 0.2, new Philox(4)).keep();
      backward(sum(out));
      expect(x.grad?.toTypedArray()).toEqual(out.toTypedArray());
      const mean = out.toFloat32Array().reduce((total, value) => total + value, 0) / 40000;
      expect(Math.abs(mean - 1)).toBeLessThan(5 * Math.sqrt(0.25 / 40000));
      out.dispose();
    });
  });

  it('advances the stream, is the identity at 0, and refuses 1', () => {
    const x = tensor([1, 2, 3]);
    const stream = new Philox(1);
    expect([...dropout(x, 0, stream).toTypedArray()]).toEqual([1, 2, 3]);
    expect(stream.state.counter).toBe('4');
    expect(() => dropout(x, 1, stream)).toThrow(ArgumentError);
  });
});

describe('topK()', () => {
  it('puts the first of equals first and NaN before all', () => {
    const { values, index } = topK(tensor([1, 3, 3, Number.NaN, 2], [1, 5]), 4);
    expect([...index.toTypedArray()]).toEqual([3, 1, 2, 4]);
    expect([...values.toTypedArray()].slice(1)).toEqual([3, 3, 2]);
    expect(() => topK(tensor([1, 2]), 3)).toThrow(ArgumentError);
  });
});

describe('linearScan()', () => {
  it('gives the bytes of the whole in two parts', () => {
    scope(() => {
      const random = (seed: number): Tensor => {
        const stream = new Philox(seed);
        return tensor(
          Float32Array.from({ length: 2 * 10 * 3 }, () => stream.float()),
          [2, 10, 3],
        );
      };
      const [a, b] = [random(1), random(2)];
      const whole = linearScan(a, b);
      const first = linearScan(slice(a, 1, 0, 4), slice(b, 1, 0, 4));
      const last = tensor(slice(first, 1, 3, 4).toFloat32Array(), [2, 3]);
      const second = linearScan(slice(a, 1, 4, 10), slice(b, 1, 4, 10), last);
      expect(second.toTypedArray()).toEqual(slice(whole, 1, 4, 10).toTypedArray());
    });
  });
});

describe('rangedAttention()', () => {
  it('refuses ranges that overlap or leave the keys, and gives 0 where nothing is seen', () => {
    const [q, k] = [tensor([1, 2], [1, 1, 1, 2]), tensor([1, 2, 3, 4], [1, 2, 1, 2])];
    const attend = (...ranges: number[]): number[] => [
      ...rangedAttention(q, k, k, tensor(Int32Array.from(ranges), [1, ranges.length / 2, 2])).toTypedArray(),
    ];
    expect(attend(1, 1)).toEqual([0, 0]);
    expect(attend(1, 2)).toEqual([3, 4]);
    for (const ranges of [
      [0, 3],
      [1, 0],
      [-1, 1],
      [0, 2, 1, 2],
    ]) {
      expect(() => attend(...ranges)).toThrow(ArgumentError);
    }
  });
});
