import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  AdamW,
  backward,
  clipGradNorm,
  crossEntropy,
  decayGroups,
  Embedding,
  emptyCache,
  Linear,
  Module,
  memoryStats,
  normalInit,
  Philox,
  RMSNorm,
  relu2,
  scope,
  type Tensor,
  tensor,
} from '../src/index.js';

/** One hidden layer between an embedding and a head. */
class Tiny extends Module {
  readonly embed = new Embedding(32, 24, { init: normalInit(new Philox(1), 0.1) });
  readonly norm = new RMSNorm(24);
  readonly hidden = new Linear(24, 48, { init: normalInit(new Philox(2), 0.1), bias: true });
  readonly head = new Linear(48, 32, { init: normalInit(new Philox(3), 0.1) });

  forward(ids: Tensor): Tensor {
    return this.head.forward(relu2(this.hidden.forward(this.norm.forward(this.embed.forward(ids)))));
  }
}

const MIB = 2 ** 20;

// What the JavaScript heap would let be for a while is no leak: it is collected before it is measured.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

describe('memory over 1,000 training steps', () => {
  const stream = new Philox(4);
  const model = new Tiny();
  const optimizer = new AdamW(decayGroups(model, 0.1), { lr: 1e-3 });
  const ids = (): Int32Array => Int32Array.from({ length: 512 }, () => stream.integer(32));
  const step = (): number =>
    scope(() => {
      optimizer.zeroGrad();
      const loss = crossEntropy(model.forward(tensor(ids())), tensor(ids()));
      backward(loss);
      optimizer.step({ gradScale: clipGradNorm(model.parameters(), 1).scale });
      return loss.item();
    });
  const measure = (): { live: number; tensors: number; cached: number; rss: number } => {
    collect();
    const { liveBytes, liveTensors, cachedBytes } = memoryStats();
    return { live: liveBytes, tensors: liveTensors, cached: cachedBytes, rss: process.memoryUsage().rss };
  };

  it('does not grow: live bytes, tensors and cache to the byte, resident memory within 4 MiB', () => {
    for (let i = 0; i < 200; i++) step();
    const before = measure();
    for (let i = 0; i < 800; i++) step();
    const after = measure();
    expect({ live: after.live, tensors: after.tensors, cached: after.cached }).toEqual({
      live: before.live,
      tensors: before.tensors,
      cached: before.cached,
    });
    // Four runs grew by 0.2 MiB at most. Five KiB lost in each step, that no count above knows of, would show.
    expect((after.rss - before.rss) / MIB).toBeLessThan(4);
  });

  it('goes back to parameters and moments when the cache is emptied, and to nothing after dispose()', () => {
    emptyCache();
    expect(memoryStats().cachedBytes).toBe(0);
    const held = memoryStats().liveTensors;
    optimizer.dispose();
    expect(memoryStats().liveTensors).toBe(held - 2 * model.parameters().length);
  });
});

describe('gradient accumulation', () => {
  it('in four parts gives the gradients of the whole batch', () => {
    const [whole, parts] = [new Tiny(), new Tiny()];
    const stream = new Philox(5);
    const [inputs, targets] = [0, 1].map(() => Int32Array.from({ length: 64 }, () => stream.integer(32))) as [
      Int32Array,
      Int32Array,
    ];
    const gradients = (model: Tiny, count: number): number[] => {
      for (let i = 0; i < count; i++) {
        const [from, to] = [(i * 64) / count, ((i + 1) * 64) / count];
        scope(() => {
          const logits = model.forward(tensor(inputs.subarray(from, to)));
          backward(crossEntropy(logits, tensor(targets.subarray(from, to))));
        });
      }
      return model.parameters().flatMap((x) => [...(x.grad?.toFloat32Array() ?? [])].map((g) => g / count));
    };
    const [one, four] = [gradients(whole, 1), gradients(parts, 4)];
    const worst = one.reduce((top, value, i) => Math.max(top, Math.abs(value - (four[i] ?? Number.NaN))), 0);
    expect(one.length).toBeGreaterThan(3000);
    expect(worst).toBeLessThan(1e-7);
  });
});
