import {
  AdamW,
  ArgumentError,
  backward,
  captureStep,
  clipScale,
  crossEntropy,
  dropout,
  embedding,
  linear,
  memoryStats,
  mul,
  Philox,
  parameter,
  StateError,
  scope,
  sum,
  type Tensor,
  tensor,
  uniform,
} from '../index.js';

/** A table and a head that learn the next token, and what a step on them does. */
function learner(seed: number) {
  const stream = new Philox(seed);
  const [table, head] = [uniform(stream, [11, 6]), uniform(stream, [11, 6])].map(parameter) as [
    Tensor,
    Tensor,
  ];
  const optimizer = new AdamW(
    [
      { params: new Map([['table', table]]), weightDecay: 0.1 },
      { params: new Map([['head', head]]), lrScale: 0.5 },
    ],
    { lr: 0.05, grokfast: {} },
  );
  const noise = new Philox(seed).stream('dropout');
  const lossOf = (ids: Tensor, targets: Tensor): Tensor => {
    const loss = crossEntropy(linear(dropout(embedding(table, ids), 0.25, noise), head), targets, {
      ignoreIndex: 0,
    });
    backward(loss);
    return loss;
  };
  return { table, head, optimizer, noise, lossOf };
}

const batch = (step: number) => ({
  ids: Int32Array.from({ length: 8 }, (_, i) => (i * i + step) % 11),
  targets: Int32Array.from({ length: 8 }, (_, i) => (i + 2 * step) % 11),
});

describe('captureStep()', () => {
  it('gives, on a device that cannot record, what the same calls give without it', () => {
    const plain = learner(3);
    const captured = learner(3);
    const step = captureStep({ ids: [8], targets: [8] }, ({ ids, targets }) => {
      const loss = captured.lossOf(ids, targets);
      const clip = clipScale([captured.table, captured.head], 0.5, [loss]);
      captured.optimizer.apply({ clip });
      captured.optimizer.zeroGrad();
      return { loss, clip };
    });
    for (let i = 0; i < 6; i++) {
      const { ids, targets } = batch(i);
      const expected = scope(() => {
        const loss = plain.lossOf(tensor(ids), tensor(targets));
        const [norm, scale] = clipScale([plain.table, plain.head], 0.5).toTypedArray();
        plain.optimizer.step({ lr: 0.1 / (i + 1), gradScale: scale as number });
        plain.optimizer.zeroGrad();
        return [loss.item(), norm, scale];
      });
      captured.optimizer.prepare({ lr: 0.1 / (i + 1) });
      const { loss, clip } = step.replay({ ids, targets });
      captured.optimizer.commit();
      expect([loss.item(), ...clip.toTypedArray()]).toEqual(expected);
      expect(captured.optimizer.exportState()).toEqual(plain.optimizer.exportState());
      expect(captured.table.toTypedArray()).toEqual(plain.table.toTypedArray());
      expect(captured.head.toTypedArray()).toEqual(plain.head.toTypedArray());
      expect(captured.noise.state).toEqual(plain.noise.state);
    }
    expect(step.isCaptured).toBe(false);
  });

  it('frees its inputs and results, but not what the function keeps', () => {
    const kept = tensor([1, 2]).keep();
    const before = memoryStats().liveTensors;
    const step = captureStep({ x: [2] }, ({ x }) => [mul(x, 2), kept]);
    const first = step.replay({ x: Float32Array.of(3, 4) });
    const second = step.replay({ x: Float32Array.of(5, 6) });
    expect(first[0]?.isFreed).toBe(true);
    expect([...(second[0] as Tensor).toTypedArray()]).toEqual([10, 12]);
    expect(memoryStats().liveTensors).toBe(before + 2);
    step.close();
    step.close();
    expect(memoryStats().liveTensors).toBe(before);
    expect(kept.isFreed).toBe(false);
    expect(() => step.replay({ x: Float32Array.of(5, 6) })).toThrow(StateError);
  });

  it('refuses inputs that do not fit, all at once, and other kinds than at first', () => {
    const step = captureStep({ x: [2], y: [3] }, ({ x, y }) => [sum(x), sum(y)]);
    const wrong = { x: Float32Array.of(1), z: Float32Array.of(1) } as never;
    expect(() => step.replay(wrong)).toThrow(
      new ArgumentError('replay: x has 1 elements, [2] needs 2; y [3] is missing; z is not an input'),
    );
    step.replay({ x: Float32Array.of(1, 2), y: Float32Array.of(1, 2, 3) });
    expect(() => step.replay({ x: Int32Array.of(1, 2), y: Float32Array.of(1, 2, 3) })).toThrow(
      'replay: x is i32, was f32',
    );
    expect(() => captureStep({}, () => undefined, { warmUpRuns: 0 })).toThrow(ArgumentError);
  });
});

describe('AdamW.prepare(), apply(), commit()', () => {
  it('leaves everything alone when the norm or a guard is not finite', () => {
    const { table, head, optimizer, lossOf } = learner(5);
    scope(() => lossOf(tensor(batch(1).ids), tensor(batch(1).targets)));
    const before = [table.toTypedArray(), head.toTypedArray(), optimizer.exportState()];
    optimizer.prepare();
    scope(() => {
      const clip = clipScale([table, head], 1, [tensor([1, Number.POSITIVE_INFINITY])]);
      expect(clip.toTypedArray()[1]).toBeNaN();
      optimizer.apply({ clip });
    });
    expect([table.toTypedArray(), head.toTypedArray(), optimizer.exportState()]).toEqual(before);
    expect(() => clipScale([table], 0)).toThrow(ArgumentError);
  });

  it('needs prepare() first', () => {
    expect(() => learner(1).optimizer.apply()).toThrow(StateError);
  });
});
