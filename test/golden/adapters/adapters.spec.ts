import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  directorySource,
  type LlamaModel,
  loadLora,
  loadModel,
  removeLora,
  saveLora,
  toBitNet,
  trainStep,
} from '@agentforge/model';
import { AdamW, BitLinear, backward, Linear, mul, noGrad, parameter, scope, sum, tensor } from '@agentforge/tensor';
import { hash32 } from '../model/golden-weights.js';

interface WithGradients {
  readonly logits: number[];
  readonly loss: number;
  readonly grad_norms: Record<string, number>;
}

interface Golden {
  readonly ids: number[];
  readonly lora: WithGradients & { readonly training: number[]; readonly merged_logits: number[] };
  readonly layer: Record<string, { y: number[]; dx: number[]; dw: number[] }>;
  readonly bitnet: Record<string, WithGradients>;
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
const GOLDEN = JSON.parse(readFileSync(`${HERE}golden.json`, 'utf8')) as Golden;
const PEFT = directorySource(`${HERE}peft`);
const INPUTS = Int32Array.from(GOLDEN.ids.slice(0, -1));
const TARGETS = Int32Array.from(GOLDEN.ids.slice(1));

/** Uniform in [-1/2, 1/2), the twin of `centred` in make_golden.py. */
function centred(count: number, salt: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => (hash32(i, salt) >>> 8) / 2 ** 24 - 0.5);
}

function worst(actual: ArrayLike<number>, expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  return expected.reduce((max, value, i) => Math.max(max, Math.abs(value - (actual[i] ?? Number.NaN))), 0);
}

const lastLogits = (model: LlamaModel): Float32Array =>
  noGrad(() => scope(() => model.forward(tensor(INPUTS, [1, INPUTS.length]), { lastOnly: true }).toFloat32Array()));

const lossOf = (model: LlamaModel) =>
  model.loss(tensor(INPUTS, [1, INPUTS.length]), tensor(TARGETS, [1, TARGETS.length]));

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((total, value) => total + value * value, 0));

let model: LlamaModel;
beforeEach(async () => {
  ({ model } = await loadModel(join(HERE, '../checkpoints/hf-tied')));
});
afterEach(() => model.dispose());

describe('an adapter of PEFT', () => {
  it('gives its logits, its loss and its gradients', async () => {
    const before = lastLogits(model);
    const adapter = await loadLora(model, PEFT);
    expect(worst(lastLogits(model), GOLDEN.lora.logits)).toBeLessThan(1e-4);
    expect(adapter.withoutAdapter(() => lastLogits(model))).toEqual(before);
    scope(() => {
      const loss = lossOf(model);
      expect(Math.abs(loss.item() / GOLDEN.lora.loss - 1)).toBeLessThan(1e-5);
      backward(loss);
    });
    const gradients = [...adapter.namedParameters()].map(([name, x]) => [`base_model.model.${name}`, x] as const);
    expect(gradients.map(([name]) => name).sort()).toEqual(Object.keys(GOLDEN.lora.grad_norms).sort());
    for (const [name, { grad }] of gradients) {
      const expected = GOLDEN.lora.grad_norms[name] ?? Number.NaN;
      expect(Math.abs(norm(grad?.toFloat32Array() ?? new Float32Array(0)) / expected - 1)).toBeLessThan(1e-4);
    }
    expect(model.trainableParameters()).toHaveLength(gradients.length);
  });

  it('trains to the same losses, merges to the same logits, and comes apart to the bit', async () => {
    const weights = model.exportWeights();
    const adapter = await loadLora(model, PEFT);
    const optimizer = new AdamW([{ params: adapter.namedParameters(), weightDecay: 0 }], {
      lr: 1e-2,
      betas: [0.9, 0.95],
      eps: 1e-8,
    });
    const batch = { inputs: INPUTS, targets: TARGETS, batchSize: 1, length: INPUTS.length, bytes: 0 };
    for (const expected of GOLDEN.lora.training) {
      const { loss } = trainStep(model, optimizer, batch, { clipNorm: Number.POSITIVE_INFINITY });
      expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-4);
    }
    adapter.merge();
    expect(worst(lastLogits(model), GOLDEN.lora.merged_logits)).toBeLessThan(1e-3);
    adapter.unmerge();
    expect(adapter.withoutAdapter(() => model.exportWeights())).toEqual(weights);
    removeLora(model, adapter, { keep: true });
    expect(worst(lastLogits(model), GOLDEN.lora.merged_logits)).toBeLessThan(1e-3);
    optimizer.dispose();
  });

  it('is saved with the tensors and the settings of PEFT', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'adapter-'));
    try {
      await saveLora(folder, await loadLora(model, PEFT), { base: 'hf-tied' });
      const [ours, theirs] = await Promise.all(
        [folder, `${HERE}peft`].map((path) => readFile(join(path, 'adapter_model.safetensors'))),
      );
      expect(ours?.equals(theirs ?? Buffer.alloc(0))).toBe(true);
      const [mine, peft] = await Promise.all(
        [folder, `${HERE}peft`].map(async (path) => JSON.parse(await readFile(join(path, 'adapter_config.json'), 'utf8'))),
      );
      mine.target_modules.sort();
      peft.target_modules.sort();
      expect(peft).toMatchObject(mine);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe.each(['1', '0.25'])('BitLinear with lambda %s', (lambda) => {
  it('gives the outputs and the gradients of PyTorch', () => {
    const expected = GOLDEN.layer[lambda] ?? { y: [], dx: [], dw: [] };
    const layer = BitLinear.from(new Linear(32, 16, { init: () => tensor(centred(512, 600), [16, 32]) }));
    layer.lambda = Number(lambda);
    const x = parameter(tensor(centred(192, 601).map((value) => 3 * value), [6, 32]));
    scope(() => {
      const y = layer.forward(x);
      expect(worst(y.toFloat32Array(), expected.y)).toBeLessThan(2e-5);
      backward(sum(mul(y, tensor(centred(96, 602), [6, 16]))));
    });
    expect(worst(x.grad?.toFloat32Array() ?? [], expected.dx)).toBeLessThan(1e-5);
    expect(worst(layer.weight.grad?.toFloat32Array() ?? [], expected.dw)).toBeLessThan(1e-5);
    layer.dispose();
    x.dispose();
  });

  it('gives the logits and the gradients of a whole model, and packed the same', () => {
    const expected = GOLDEN.bitnet[lambda] ?? GOLDEN.lora;
    const ternary = toBitNet(model);
    ternary.setLambda(Number(lambda));
    // An activation that falls on the border of two codes moves a logit by far less than this.
    expect(worst(lastLogits(model), expected.logits)).toBeLessThan(2e-3);
    scope(() => {
      const loss = lossOf(model);
      expect(Math.abs(loss.item() / expected.loss - 1)).toBeLessThan(1e-4);
      backward(loss);
    });
    for (const [name, { grad }] of model.namedParameters()) {
      const wanted = expected.grad_norms[name] ?? Number.NaN;
      expect(Math.abs(norm(grad?.toFloat32Array() ?? new Float32Array(0)) / wanted - 1)).toBeLessThan(1e-3);
    }
    if (lambda !== '1') return;
    const trained = lastLogits(model);
    ternary.pack();
    expect(worst(lastLogits(model), [...trained])).toBeLessThan(2e-3);
  });
});
