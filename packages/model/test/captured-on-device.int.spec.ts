import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import {
  AdamW,
  add,
  attention,
  autocast,
  backward,
  captureStep,
  clipScale,
  decayGroups,
  dropout,
  max,
  mean,
  memoryStats,
  mul,
  Philox,
  type Precision,
  parameter,
  reshape,
  scope,
  selectDevice,
  sum,
  svd,
  type Tensor,
  tensor,
  uniform,
} from '@agentforge/tensor';
import { captureTrainStep, LlamaModel, presetConfig, type TokenBatch, trainStep } from '../src/index.js';

/**
 * Captured steps on a device that records work. A process has one device, so this file runs itself in a process of its
 * own: on the kernels of CUDA run by the processor, where `pnpm test:cpp` has built them, or with FORGE_TEST_DEVICE=cuda
 * on what FORGE_CUDA_LIBRARY says, else a GPU.
 */
const EMULATED = fileURLToPath(new URL('../../../native/build/libforge_cuda_emulated.so', import.meta.url));
const isOnDevice = process.env['FORGE_TEST_DEVICE'] === 'cuda';

const CONFIG = presetConfig('pico', {
  vocabSize: 23,
  hiddenSize: 8,
  numLayers: 1,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 4,
  intermediateSize: 12,
  contextLength: 8,
});
const SHAPE = { batchSize: 2, length: 5 };

function batchOf(seed: number): TokenBatch {
  const rng = new Philox(seed);
  const draw = () => Int32Array.from({ length: 10 }, () => rng.integer(CONFIG.vocabSize));
  const targets = draw();
  targets[seed % 10] = -100;
  return { inputs: draw(), targets, ...SHAPE, bytes: 20 };
}

function setUp(): { model: LlamaModel; optimizer: AdamW } {
  const model = LlamaModel.init(CONFIG, new Philox(1));
  return { model, optimizer: new AdamW(decayGroups(model, 0.1), { lr: 1e-2, grokfast: {} }) };
}

/** Takes and fills memory between replays. */
function disturb(): void {
  scope(() => {
    for (const n of [1, 10, 40, 80, 184]) add(tensor(new Float32Array(n).fill(Number.NaN)), 1);
  });
}

if (isOnDevice) {
  beforeAll(() => void selectDevice('cuda', { fallback: 'refuse' }));

  it('replays training steps to the bits of plain ones, over accumulated batches', () => {
    const [plain, captured] = [setUp(), setUp()];
    const step = captureTrainStep(captured.model, captured.optimizer, { ...SHAPE, microBatches: 2 });
    for (let i = 0; i < 4; i++) {
      const batches = [batchOf(2 * i), batchOf(2 * i + 1)];
      const lr = 1e-2 / (i + 1);
      const expected = trainStep(plain.model, plain.optimizer, batches, { lr });
      disturb();
      expect(step.run(batches, { lr })).toEqual(expected);
      expect(step.isCaptured).toBe(i >= 2);
    }
    expect(captured.model.exportWeights()).toEqual(plain.model.exportWeights());
    expect(captured.optimizer.exportState()).toEqual(plain.optimizer.exportState());

    // A bad token is told with its place, changes nothing, and the next step is as if it had not been.
    const bad = batchOf(99);
    bad.inputs[7] = CONFIG.vocabSize;
    const wanted = 'embedding: index 23 at position 7, needs 0 to 22';
    expect(() => step.run([batchOf(98), bad])).toThrow(wanted);
    expect(() => trainStep(plain.model, plain.optimizer, [batchOf(98), bad])).toThrow(wanted);
    expect(captured.model.exportWeights()).toEqual(plain.model.exportWeights());
    const next = [batchOf(100), batchOf(101)];
    expect(step.run(next)).toEqual(trainStep(plain.model, plain.optimizer, next));
    expect(captured.model.exportWeights()).toEqual(plain.model.exportWeights());
    step.close();
    expect(captured.optimizer.stepCount).toBe(5);
  });

  it('rounds the products of attention under bf16, and records such steps like others', () => {
    const rng = new Philox(8);
    const data = [2, 1, 1].map((heads) => uniform(rng, [1, 40, heads, 8], -1, 1));
    const slope = uniform(rng, [1, 40, 2, 8], -1, 1);
    const results = (precision: Precision) => {
      const parts = data.map((part) => parameter(tensor(part.toFloat32Array(), part.shape)));
      const out = autocast(precision, () => attention(...(parts as [Tensor, Tensor, Tensor])));
      const values = out.toFloat32Array();
      backward(sum(mul(out, slope)));
      return [values, ...parts.map((part) => (part.grad as Tensor).toFloat32Array())];
    };
    const [exact, rounded] = [results('f32'), results('bf16')];
    exact.forEach((values, i) => {
      const off = values.map((value, at) => Math.abs(value - (rounded[i]?.[at] ?? Number.NaN)));
      expect(Math.max(...off)).toBeGreaterThan(1e-5);
      expect(Math.max(...off)).toBeLessThan(2e-2);
    });

    const [plain, captured] = [setUp(), setUp()];
    const step = captureTrainStep(captured.model, captured.optimizer, { ...SHAPE, precision: 'bf16' });
    for (let i = 0; i < 4; i++) {
      const batch = batchOf(i);
      const expected = trainStep(plain.model, plain.optimizer, [batch], { lr: 1e-2, precision: 'bf16' });
      expect(step.run(batch, { lr: 1e-2 })).toEqual(expected);
    }
    expect(step.isCaptured).toBe(true);
    expect(captured.model.exportWeights()).toEqual(plain.model.exportWeights());
    step.close();
  });

  it('refuses to move on a loss that is not finite', () => {
    const { model, optimizer } = setUp();
    const step = captureTrainStep(model, optimizer, SHAPE);
    for (let i = 0; i < 3; i++) step.run(batchOf(i));
    const norm = model.namedParameters().get('model.norm.weight') as Tensor;
    norm.write(new Float32Array(CONFIG.hiddenSize).fill(Number.NaN));
    const before = [model.exportWeights(), optimizer.exportState()];
    expect(() => step.run(batchOf(3))).toThrow(expect.objectContaining({ name: 'NonFiniteLossError' }));
    expect([model.exportWeights(), optimizer.exportState()]).toEqual(before);
    step.close();
  });

  it('moves random streams on as the function would have, and gives memory back', () => {
    const make = () => {
      const w = parameter(tensor([1, 2, 3, 4, 5, 6, 7, 8, 9]));
      const stream = new Philox(4).stream('noise');
      const optimizer = new AdamW([{ params: new Map([['w', w]]) }], { lr: 0.1 });
      const run = (x: Tensor): readonly Tensor[] => {
        const y = add(mul(dropout(w, 0.4, stream), x), uniform(stream, [9]));
        const loss = sum(mul(dropout(y, 0.2, stream), y));
        backward(loss);
        const clip = clipScale([w], 1, [loss]);
        optimizer.apply({ clip });
        optimizer.zeroGrad();
        return [loss, clip];
      };
      return { w, stream, optimizer, run };
    };
    const [plain, captured] = [make(), make()];
    const before = memoryStats().liveTensors;
    const step = captureStep({ x: [9] }, ({ x }) => captured.run(x));
    for (let i = 0; i < 6; i++) {
      const x = Float32Array.from({ length: 9 }, (_, j) => Math.sin(i + j));
      for (const { optimizer } of [plain, captured]) optimizer.prepare();
      const expected = scope(() => plain.run(tensor(x)).map((result) => result.toTypedArray()));
      disturb();
      expect(step.replay({ x }).map((result) => result.toTypedArray())).toEqual(expected);
      for (const { optimizer } of [plain, captured]) optimizer.commit();
      expect(captured.w.toTypedArray()).toEqual(plain.w.toTypedArray());
      expect(captured.stream.state).toEqual(plain.stream.state);
    }
    expect(step.isCaptured).toBe(true);
    step.close();
    // The moments' settings and the gradients of both, which live on.
    expect(memoryStats().liveTensors).toBe(before + 4);
  });

  it('records reductions over an axis, with their gradients', () => {
    const make = () => {
      const w = parameter(tensor([1, -2, 3, 3, 5, -6, 7, 7, -9, 2, 0, 4], [2, 3, 2]));
      const optimizer = new AdamW([{ params: new Map([['w', w]]) }], { lr: 0.1 });
      const run = (x: Tensor): readonly Tensor[] => {
        optimizer.zeroGrad();
        const [total, average, top] = [sum(w, 0), mean(w, 1), max(w, 2)];
        const loss = add(
          add(sum(mul(total, x)), sum(mul(average, average))),
          sum(mul(reshape(top, [3, 2]), x)),
        );
        backward(loss);
        return [loss];
      };
      return { w, run };
    };
    const [plain, captured] = [make(), make()];
    const step = captureStep({ x: [3, 2] }, ({ x }) => captured.run(x));
    for (let i = 0; i < 4; i++) {
      const x = Float32Array.from({ length: 6 }, (_, j) => Math.cos(i + j));
      const expected = scope(() => plain.run(tensor(x, [3, 2])).map((one) => one.toTypedArray()));
      expect(step.replay({ x }).map((one) => one.toTypedArray())).toEqual(expected);
      expect(captured.w.grad?.toTypedArray()).toEqual(plain.w.grad?.toTypedArray());
    }
    expect(step.isCaptured).toBe(true);
    step.close();
  });

  it.each<[string, (x: Tensor) => unknown, RegExp]>([
    ['waits', (x) => sum(x).item(), /^item: cannot be part of a captured step: it waits/],
    [
      'makes a tensor of host memory',
      () => tensor([1]),
      /^write: cannot be part .*: it moves elements from the host/,
    ],
    ['runs on the processor', (x) => svd(x), /^svd: cannot be part .*: device cuda has no such op/],
  ])('names the call of a step that %s', (what, call, message) => {
    let calls = 0;
    const step = captureStep({ x: [2, 2] }, ({ x }) => {
      // As if found out only while it is recorded.
      calls++;
      return calls > 2 ? [call(x), mul(x, 2)] : [mul(x, 2)];
    });
    const x = Float32Array.of(1, 2, 3, 4);
    for (let i = 0; i < 2; i++) step.replay({ x });
    expect(what).not.toBe('');
    expect(() => step.replay({ x })).toThrow(message);
    expect(() => step.replay({ x })).toThrow(message);
    expect([...tensor([5]).toTypedArray()]).toEqual([5]); // nothing is recorded any more
    step.close();
  });

  it('refuses host state that a replay would freeze', () => {
    const { model, optimizer } = setUp();
    const steps = (call: () => void) => {
      let calls = 0;
      const step = captureStep({ x: [1] }, () => (++calls > 1 ? call() : undefined), { warmUpRuns: 1 });
      step.replay({ x: Float32Array.of(1) });
      expect(() => step.replay({ x: Float32Array.of(1) })).toThrow(
        expect.objectContaining({ name: 'StateError' }),
      );
      step.close();
    };
    steps(() => optimizer.step());
    steps(() => void new Philox(1).float());
    expect(model.parameters().every((parameter) => !parameter.isFreed)).toBe(true);
  });
} else {
  const test = existsSync(EMULATED) ? it : it.skip;
  test('captured steps, on the kernels of CUDA run by the processor', () => {
    const jest = createRequire(import.meta.url).resolve('jest/bin/jest');
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--experimental-vm-modules', '--no-warnings', jest, 'captured-on-device'],
      {
        cwd: fileURLToPath(new URL('..', import.meta.url)),
        env: { ...process.env, FORGE_TEST_DEVICE: 'cuda', FORGE_CUDA_LIBRARY: EMULATED },
        encoding: 'utf8',
      },
    );
    expect(status === 0 ? '' : stderr).toBe('');
  }, 300_000);
}
