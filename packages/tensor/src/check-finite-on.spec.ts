import { loadNative } from '@agentforge/native';
import { CHECK_FINITE_VARIABLE } from './check-finite.js';
import {
  AdamW,
  backward,
  captureStep,
  clipScale,
  crossEntropy,
  div,
  NotFiniteError,
  parameter,
  scope,
  type Tensor,
  tensor,
} from './index.js';

// The table is made by the first call, of this process alone: with the trap on, and as on a device that records.
const before = process.env[CHECK_FINITE_VARIABLE];
beforeAll(() => {
  const addon = loadNative();
  const { backendInfo } = addon;
  process.env[CHECK_FINITE_VARIABLE] = '1';
  addon.backendInfo = () => ({ ...backendInfo(), captures: true });
  try {
    tensor([1]).dispose();
  } finally {
    addon.backendInfo = backendInfo;
  }
});
afterAll(() => {
  delete process.env[CHECK_FINITE_VARIABLE];
  if (before !== undefined) process.env[CHECK_FINITE_VARIABLE] = before;
});

/** A row of logits that learns one target, and the loss of a step on it. */
function learner() {
  const logits = parameter(tensor([1, 2, 3], [1, 3]));
  const optimizer = new AdamW([{ params: new Map([['logits', logits]]) }], { lr: 0.1 });
  const targets = tensor(Int32Array.of(1)).keep();
  const lossOf = (x: Tensor): Tensor => {
    optimizer.zeroGrad();
    const loss = crossEntropy(div(x, logits), targets);
    backward(loss);
    return loss;
  };
  return { logits, optimizer, lossOf };
}

const messageOf = (fn: () => unknown): string => {
  try {
    fn();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(NotFiniteError);
    return (thrown as Error).message;
  }
  return 'nothing was thrown';
};

describe('with FORGE_CHECK_FINITE=1', () => {
  it('an op that makes an infinity throws, with its name', () => {
    expect(messageOf(() => div(tensor([1, 1]), tensor([1, 0])))).toBe(
      'div: Infinity at element 1 of [2] in training step 1 (FORGE_CHECK_FINITE is on)',
    );
  });

  it('a training step is numbered by what the optimizer took before', () => {
    const { logits, optimizer, lossOf } = learner();
    for (let step = 0; step < 2; step++) {
      scope(() => lossOf(tensor([1, 2, 3], [1, 3])));
      optimizer.step();
    }
    logits.write(Float32Array.of(1, 0, 1));
    expect(messageOf(() => scope(() => lossOf(tensor([1, 2, 3], [1, 3]))))).toMatch(
      /^div: Infinity at element 1 of \[1,3\] in training step 3 /,
    );
  });

  it('names a norm in f64', () => {
    const { logits, lossOf } = learner();
    scope(() => lossOf(tensor([1, 2, 3], [1, 3])));
    const guard = tensor([Number.NaN]);
    expect(messageOf(() => clipScale([logits], 1, [guard]))).toMatch(/^clipScale: NaN at element 1 of \[2\]/);
  });

  it('a captured step is run, never recorded, and goes on being looked at', () => {
    const { logits, optimizer, lossOf } = learner();
    const step = captureStep({ x: [1, 3] }, ({ x }) => {
      const loss = lossOf(x);
      optimizer.apply({ clip: clipScale([logits], 1, [loss]) });
      return loss;
    });
    const replay = (...x: number[]): void => {
      optimizer.prepare();
      step.replay({ x: Float32Array.from(x) });
      optimizer.commit();
    };
    for (let i = 0; i < 4; i++) replay(1, 2, 3);
    expect(step.isCaptured).toBe(false);
    expect(messageOf(() => replay(3e38, Number.POSITIVE_INFINITY, 0))).toMatch(
      /^div: Infinity at element 1 of \[1,3\] in training step 5 /,
    );
    step.close();
  });
});
