import {
  AdamW,
  ArgumentError,
  backward,
  clipGradNorm,
  constantSchedule,
  decayGroups,
  Linear,
  linearSchedule,
  mul,
  normalInit,
  Philox,
  parameter,
  StateError,
  scope,
  sum,
  type Tensor,
  tensor,
  warmupCosine,
} from '../index.js';

function trained(steps: number, seed = 1): { layer: Linear; optimizer: AdamW; go: (n: number) => void } {
  const layer = new Linear(3, 2, { init: normalInit(new Philox(seed), 1), bias: true });
  const optimizer = new AdamW(decayGroups(layer, 0.1), { lr: 0.01 });
  const go = (n: number): void => {
    for (let i = 0; i < n; i++) {
      optimizer.zeroGrad();
      scope(() => {
        const y = layer.forward(tensor([1, -2, 3, 0.5, 1, -1], [2, 3]));
        backward(sum(mul(y, y)));
      });
      optimizer.step();
    }
  };
  go(steps);
  return { layer, optimizer, go };
}

const weights = (layer: Linear): number[] => layer.parameters().flatMap((x) => [...x.toTypedArray()]);

describe('AdamW', () => {
  it('goes on from an exported state with the same bytes', () => {
    const straight = trained(7);
    const first = trained(4);
    const second = trained(0, 2);
    second.layer.loadState(first.layer.stateDict());
    second.optimizer.importState(first.optimizer.exportState());
    second.go(3);
    expect(second.optimizer.stepCount).toBe(7);
    expect(weights(second.layer)).toEqual(weights(straight.layer));
    for (const { optimizer } of [straight, first, second]) optimizer.dispose();
  });

  it('puts matrices and vectors in different groups', () => {
    const groups = decayGroups(new Linear(3, 2, { bias: true }), 0.1);
    expect(groups.map(({ params, weightDecay }) => [[...params.keys()], weightDecay])).toEqual([
      [['weight'], 0.1],
      [['bias'], 0],
    ]);
  });

  it('leaves parameters without a gradient alone', () => {
    const x = parameter(tensor([1]));
    const optimizer = new AdamW([{ params: new Map([['x', x]]) }], { lr: 1 });
    optimizer.step();
    expect(x.item()).toBe(1);
  });

  it('refuses the same name twice, and tensors that are not parameters', () => {
    const params = new Map([['x', parameter(tensor([1]))]]);
    expect(() => new AdamW([{ params }, { params }], { lr: 1 })).toThrow(ArgumentError);
    expect(() => new AdamW([{ params: new Map([['x', tensor([1])]]) }], { lr: 1 })).toThrow(ArgumentError);
  });

  it.each([
    ['a name it does not have', { step: 1, moments: new Map([['y', moments(1)]]) }],
    ['too few moments', { step: 1, moments: new Map([['x', moments(0)]]) }],
    ['no moments', { step: 1, moments: new Map() }],
    ['a step that is not a count', { step: -1, moments: new Map([['x', moments(1)]]) }],
  ])('refuses a state with %s', (_, state) => {
    const optimizer = new AdamW([{ params: new Map([['x', parameter(tensor([1]))]]) }], { lr: 1 });
    expect(() => optimizer.importState(state)).toThrow(StateError);
    expect(optimizer.stepCount).toBe(0);
  });
});

function moments(size: number): { m: Float32Array; v: Float32Array } {
  return { m: new Float32Array(size), v: new Float32Array(size) };
}

describe('clipGradNorm()', () => {
  const withGradient = (...gradient: number[]): Tensor => {
    const x = parameter(tensor(gradient.map(() => 0)));
    scope(() => backward(sum(mul(x, tensor(gradient)))));
    return x;
  };

  it('measures one norm over all gradients and changes none', () => {
    const [x, y] = [withGradient(3), withGradient(0, 4)];
    const clipped = clipGradNorm([x, y, parameter(tensor([1]))], 1);
    expect(clipped.norm).toBeCloseTo(5, 6);
    expect(clipped.scale).toBeCloseTo(0.2, 6);
    expect(x.grad?.item()).toBe(3);
  });

  it('does not enlarge small gradients', () => {
    expect(clipGradNorm([withGradient(0.5)], 1)).toEqual({ norm: 0.5, scale: 1, isFinite: true });
  });

  it('says when a gradient is not finite', () => {
    expect(clipGradNorm([withGradient(Number.NaN)], 1).isFinite).toBe(false);
    expect(clipGradNorm([withGradient(Number.POSITIVE_INFINITY)], 1).isFinite).toBe(false);
  });
});

describe('schedules', () => {
  it('warm up in a line, then fall along half a cosine to the floor at the last step', () => {
    const lr = warmupCosine({ peak: 1, floor: 0.1, warmupSteps: 4, totalSteps: 105 });
    expect([0, 1, 3, 4].map(lr)).toEqual([0.25, 0.5, 1, 1]);
    expect(lr(54)).toBeCloseTo(0.55, 12);
    expect(lr(104)).toBeCloseTo(0.1, 12);
    expect(lr(1000)).toBeCloseTo(0.1, 12);
  });

  it('are constant or linear', () => {
    expect(constantSchedule(3)(99)).toBe(3);
    expect([0, 5, 10, 20].map(linearSchedule({ start: 1, end: 0, steps: 10 }))).toEqual([1, 0.5, 0, 0]);
  });

  it('refuse lengths that make no sense', () => {
    expect(() => warmupCosine({ peak: 1, floor: 0, warmupSteps: 5, totalSteps: 4 })).toThrow(ArgumentError);
    expect(() => linearSchedule({ start: 1, end: 0, steps: 0 })).toThrow(ArgumentError);
  });
});
