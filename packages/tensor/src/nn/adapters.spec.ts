import {
  AdamW,
  add,
  BitLinear,
  backward,
  decayGroups,
  Linear,
  LoraLinear,
  Module,
  memoryStats,
  mul,
  noGrad,
  normal,
  normalInit,
  Philox,
  RMSNorm,
  scope,
  straightThrough,
  sum,
  type Tensor,
  tensor,
} from '../index.js';

const values = (x: Tensor): number[] => [...x.toFloat32Array()];

describe('straightThrough()', () => {
  it('gives the elements of one and the gradient of the other', () => {
    const weight = new Linear(3, 1, { init: () => tensor([1, 2, 3], [1, 3]) });
    scope(() => {
      const value = noGrad(() => tensor([10, 20, 30], [1, 3]));
      const y = straightThrough(weight.weight, value);
      expect(values(y)).toEqual([10, 20, 30]);
      backward(sum(mul(y, tensor([4, 5, 6], [1, 3]))));
    });
    expect(values(weight.weight.grad as Tensor)).toEqual([4, 5, 6]);
    expect(() => straightThrough(weight.weight, tensor([1]))).toThrow('shapes must be equal');
    weight.dispose();
  });
});

describe('BitLinear', () => {
  // mean |W| = 0.29166667: codes 1 0 0 / −1 1 0.
  const WEIGHT = [0.5, -0.1, 0.05, -0.8, 0.3, 0];
  const layerOf = (weight: number[] = WEIGHT) =>
    BitLinear.from(new Linear(3, 2, { init: () => tensor(weight, [2, 3]) }));

  it('has the ternary weights of the paper, whatever the scale of W', () => {
    for (const c of [1, 1000, 1e-3]) {
      const layer = layerOf(WEIGHT.map((w) => c * w));
      const s = 0.29166667 * c;
      values(layer.ternaryWeight()).forEach((w, i) => {
        expect(w / s).toBeCloseTo([1, 0, 0, -1, 1, 0][i] ?? 9, 5);
      });
      layer.dispose();
    }
  });

  it('rounds activations to 1/127 of the largest of their row, halves to even', () => {
    const layer = BitLinear.from(
      new Linear(3, 3, { init: () => tensor([1, 0, 0, 0, 1, 0, 0, 0, 1], [3, 3]) }),
    );
    layer.pack();
    // Scale 100: 30, −127 and 63.5, which goes to 64.
    const y = layer.forward(tensor([0.3, -1.27, 0.635, 0, 0, 0], [2, 3]));
    [0.3, -1.27, 0.64, 0, 0, 0].forEach((expected, i) => {
      expect(values(y)[i]).toBeCloseTo(expected, 6);
    });
    layer.dispose();
  });

  it('passes gradients through both roundings', () => {
    const layer = layerOf();
    const x = new Linear(3, 1, { init: () => tensor([0.3, -1.27, 0.635], [1, 3]) }).weight;
    scope(() => backward(sum(mul(layer.forward(x), tensor([1, 10], [1, 2])))));
    const [w, dx, dw] = [
      values(layer.ternaryWeight()),
      values(x.grad as Tensor),
      values(layer.weight.grad as Tensor),
    ];
    dx.forEach((d, i) => {
      expect(d).toBeCloseTo((w[i] ?? 0) + 10 * (w[3 + i] ?? 0), 5);
    });
    const xq = [0.3, -1.27, 0.64];
    dw.forEach((d, i) => {
      expect(d).toBeCloseTo((xq[i % 3] ?? 0) * (i < 3 ? 1 : 10), 5);
    });
    layer.dispose();
  });

  it('is a plain layer with lambda 0, and between both in between', () => {
    const layer = layerOf();
    const plain = new Linear(3, 2, { init: () => tensor(WEIGHT, [2, 3]) });
    const x = tensor([0.3, -1.2, 0.6], [1, 3]);
    layer.lambda = 0;
    expect(values(layer.forward(x))).toEqual(values(plain.forward(x)));
    layer.lambda = 1;
    const whole = values(layer.forward(x));
    layer.lambda = 0.5;
    values(layer.forward(x)).forEach((y) => {
      expect(Number.isFinite(y)).toBe(true);
    });
    expect(values(layer.forward(x))).not.toEqual(whole);
    layer.dispose();
    plain.dispose();
  });

  it('gives the weight that it computes with, for any lambda and packed', () => {
    const layer = layerOf();
    const [whole, trained] = [values(layer.ternaryWeight()), values(layer.weight)];
    expect(values(layer.computedWeight())).toEqual(whole);
    layer.lambda = 0.25;
    values(layer.computedWeight()).forEach((w, i) => {
      expect(w).toBeCloseTo(0.75 * (trained[i] ?? 9) + 0.25 * (whole[i] ?? 9), 6);
    });
    layer.pack();
    const before = memoryStats().liveTensors;
    const packed = layer.computedWeight();
    expect(values(packed)).toEqual(whole);
    expect(memoryStats().liveTensors).toBe(before + 1);
    // Ternary already, it is packed as it is: its scale is not the mean of its magnitudes.
    layer.weight.write(packed.toFloat32Array());
    layer.pack();
    expect(values(layer.computedWeight())).toEqual(whole);
    layer.unpack();
    layer.lambda = 1;
    expect(values(layer.computedWeight())).not.toEqual(whole);
    layer.dispose();
  });

  it.each([
    [1, 256, 256],
    [5, 37, 19],
    [3, 1, 2],
  ])(
    'packed gives what the training graph gives: integer sums of %i rows, %i columns, %i outputs',
    (rows, columns, outputs) => {
      const rng = new Philox(7);
      const layer = BitLinear.from(new Linear(columns, outputs, { init: normalInit(rng, 0.3), bias: true }));
      const x = normal(rng, [rows, columns]);
      const before = memoryStats().liveTensors;
      const trained = scope(() => values(noGrad(() => layer.forward(x))));
      layer.pack();
      const packed = scope(() => values(layer.forward(x)));
      // The same sum in whole numbers.
      const [w, xs] = [values(layer.ternaryWeight()), values(x)];
      const s = Math.max(...w.map(Math.abs));
      const largest = Math.max(...trained.map(Math.abs));
      for (let row = 0; row < rows; row++) {
        const own = xs.slice(row * columns, (row + 1) * columns);
        const factor = Math.fround(127 / Math.max(...own.map(Math.abs)));
        const codes = own.map((value) => Math.round(Math.fround(value * factor)));
        for (let o = 0; o < outputs; o++) {
          const total = codes.reduce((acc, code, i) => acc + code * Math.sign(w[o * columns + i] ?? 0), 0);
          const at = row * outputs + o;
          expect(Math.abs((packed[at] ?? 9) - (total * s) / factor)).toBeLessThan(1e-5 * largest);
          expect(Math.abs((packed[at] ?? 9) - (trained[at] ?? 0))).toBeLessThan(1e-5 * largest);
        }
      }
      layer.unpack();
      expect(memoryStats().liveTensors).toBeLessThanOrEqual(before + 1); // the ternary weight asked for above
      layer.dispose();
    },
  );

  it('keeps a weight that is ternary already when packed', () => {
    const layer = layerOf([0.5, 0, -0.5, 0, 0, 0.5]);
    layer.pack();
    const y = values(layer.forward(tensor([1, 0, 0], [1, 3])));
    expect(y[0]).toBeCloseTo(0.5, 6);
    layer.dispose();
  });

  it('learns', () => {
    const rng = new Philox(3);
    const layer = BitLinear.from(new Linear(16, 8, { init: normalInit(rng, 0.3) }));
    const target = new Linear(16, 8, { init: normalInit(rng, 0.3) });
    const optimizer = new AdamW(decayGroups(layer, 0), { lr: 0.02 });
    const x = normal(rng, [64, 16]).keep();
    const loss = (): number =>
      scope(() => {
        optimizer.zeroGrad();
        const difference = add(
          layer.forward(x),
          mul(
            noGrad(() => target.forward(x)),
            -1,
          ),
        );
        const total = sum(mul(difference, difference));
        backward(total);
        optimizer.step();
        return total.item();
      });
    const first = loss();
    let last = first;
    for (let step = 0; step < 150; step++) last = loss();
    expect(last).toBeLessThan(0.3 * first);
    for (const tensor of [x, layer, target]) tensor.dispose();
    optimizer.dispose();
  });
});

describe('LoraLinear', () => {
  const make = (bias = false) => {
    const rng = new Philox(5);
    const base = new Linear(6, 4, { init: normalInit(rng, 1), bias });
    const x = normal(rng, [3, 6]).keep();
    const before = values(base.forward(x));
    const layer = new LoraLinear(base, { rank: 2, alpha: 8, initA: normalInit(rng, 1) });
    return { rng, x, before, layer };
  };

  it('changes nothing at first, and nothing when disabled', () => {
    const { rng, x, before, layer } = make(true);
    expect(values(layer.forward(x))).toEqual(before);
    layer.lora_B.weight.write(normal(rng, [4, 2]).toFloat32Array());
    expect(values(layer.forward(x))).not.toEqual(before);
    layer.isEnabled = false;
    expect(values(layer.forward(x))).toEqual(before);
    layer.dispose();
  });

  it('merged computes the same with one product, and comes back to the bit', () => {
    const { rng, x, layer } = make();
    layer.lora_B.weight.write(normal(rng, [4, 2]).toFloat32Array());
    const weight = values(layer.weight);
    const apart = values(layer.forward(x));
    layer.merge();
    layer.merge();
    expect(layer.isMerged).toBe(true);
    values(layer.forward(x)).forEach((y, i) => {
      expect(Math.abs(y - (apart[i] ?? 0))).toBeLessThan(1e-4);
    });
    layer.unmerge();
    expect(values(layer.weight)).toEqual(weight);
    expect(values(layer.forward(x))).toEqual(apart);
    layer.dispose();
  });

  it('drops elements of the input of A alone, with a graph alone, and keeps the mean', () => {
    const rng = new Philox(5);
    const base = new Linear(6, 4, { init: normalInit(rng, 1), bias: true });
    const x = normal(rng, [3, 6]).keep();
    const plain = values(base.forward(x));
    const dropout = { probability: 0.25, stream: rng.stream('dropout') };
    const layer = new LoraLinear(base, { rank: 2, alpha: 8, initA: normalInit(rng, 1), dropout });
    // B is zero: what the layer had is not dropped.
    expect(values(layer.forward(x))).toEqual(plain);
    layer.lora_B.weight.write(normal(rng, [4, 2]).toFloat32Array());
    const whole = values(noGrad(() => layer.forward(x)));
    expect(values(noGrad(() => layer.forward(x)))).toEqual(whole);
    const draws = 4000;
    const total = new Float64Array(whole.length);
    const square = new Float64Array(whole.length);
    for (let i = 0; i < draws; i++) {
      scope(() => {
        values(layer.forward(x)).forEach((y, at) => {
          total[at] = (total[at] ?? 0) + y;
          square[at] = (square[at] ?? 0) + y * y;
        });
      });
    }
    whole.forEach((y, at) => {
      const mean = (total[at] ?? 0) / draws;
      const variance = (square[at] ?? 0) / draws - mean * mean;
      // Each element of x counts x/(1 − p) with probability 1 − p: variance p/(1 − p) of its share of y.
      const [row, o] = [Math.floor(at / 4), at % 4];
      const [a, b, xs] = [values(layer.lora_A.weight), values(layer.lora_B.weight), values(x)];
      const shares = [0, 1, 2, 3, 4, 5].map(
        (i) =>
          4 *
          (xs[6 * row + i] ?? 0) *
          [0, 1].reduce((sum, r) => sum + (b[2 * o + r] ?? 0) * (a[6 * r + i] ?? 0), 0),
      );
      const expected = (0.25 / 0.75) * shares.reduce((sum, share) => sum + share * share, 0);
      expect(Math.abs(mean - y)).toBeLessThan(5 * Math.sqrt(expected / draws));
      expect(Math.abs(variance / expected - 1)).toBeLessThan(0.15);
    });
    for (const each of [x, layer]) each.dispose();
  });

  it('trains A and B alone when the weight is frozen', () => {
    const { rng, x, layer } = make();
    layer.lora_B.weight.write(normal(rng, [4, 2]).toFloat32Array());
    layer.weight.requiresGrad = false;
    scope(() => backward(sum(layer.forward(x))));
    expect(layer.weight.grad).toBeNull();
    // d/dB = scaling · Σ rows of (x Aᵀ), in every row of B.
    const inner = values(layer.lora_A.forward(x));
    const gradB = values(layer.lora_B.weight.grad as Tensor);
    for (let r = 0; r < 2; r++) {
      const expected = 4 * [0, 1, 2].reduce((total, row) => total + (inner[2 * row + r] ?? 0), 0);
      expect(gradB[r]).toBeCloseTo(expected, 4);
    }
    expect([...(decayGroups(layer, 0.1)[0]?.params.keys() ?? [])]).toEqual([
      'lora_A.weight',
      'lora_B.weight',
    ]);
    layer.dispose();
  });
});

describe('Module', () => {
  class Block extends Module {
    readonly proj = new Linear(2, 2, { init: () => tensor([1, 2, 3, 4], [2, 2]) });
    readonly norm = new RMSNorm(2);
  }
  class Stack extends Module {
    readonly layers: readonly Block[] = [new Block(), new Block()];
    readonly head = new Linear(2, 2);
  }

  it('lists frozen parameters, and only those that are not as trainable', () => {
    const stack = new Stack();
    const all = [...stack.namedParameters().keys()];
    stack.setTrainable(false);
    expect([...stack.namedParameters().keys()]).toEqual(all);
    expect(stack.trainableParameters()).toEqual([]);
    stack.head.setTrainable(true);
    expect(stack.trainableParameters()).toEqual([stack.head.weight]);
    stack.dispose();
  });

  it('replaces modules by name at any depth, also in lists', () => {
    const stack = new Stack();
    const seen: string[] = [];
    stack.replaceModules((name, module) => {
      seen.push(name);
      return name.endsWith('proj') ? BitLinear.from(module as Linear) : module;
    });
    expect(seen).toEqual([
      'layers.0',
      'layers.0.proj',
      'layers.0.norm',
      'layers.1',
      'layers.1.proj',
      'layers.1.norm',
      'head',
    ]);
    expect(stack.layers.every(({ proj }) => proj instanceof BitLinear)).toBe(true);
    expect(values(stack.layers[1]?.proj.weight as Tensor)).toEqual([1, 2, 3, 4]);
    expect(stack.namedParameters().has('layers.1.proj.weight')).toBe(true);
    const block = new Block();
    stack.replaceModules((name, module) => (name === 'layers.1' ? block : module));
    expect(stack.layers[1]).toBe(block);
    stack.dispose();
  });
});
