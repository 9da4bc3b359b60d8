import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  fromHfConfig,
  LlamaModel,
  MixingHead,
  parameterShapes,
  ThinkingModel,
  thoughtLoss,
} from '@agentforge/model';
import { backward, scope } from '@agentforge/tensor';
import { goldenTokens, hash32 } from '../model/golden-weights.js';

interface Golden {
  readonly loss: number;
  readonly talk_nats: number;
  readonly plain_nats: number;
  readonly reward_nats: number;
  readonly gradients: Record<string, { norm: number; samples: [number, number][] }>;
}

interface GoldenFile {
  readonly hf_config: Record<string, unknown>;
  readonly sizes: Record<'sequences' | 'length' | 'thoughts' | 'thought_length' | 'ahead', number>;
  readonly weights: Record<'plain' | 'policy' | 'temperature', number>;
  readonly thoughts: Golden;
  readonly pause: Golden;
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
const GOLDEN = JSON.parse(readFileSync(`${HERE}golden.json`, 'utf8')) as GoldenFile;
const CONFIG = fromHfConfig({ model_type: 'llama', bos_token_id: 0, eos_token_id: 0, ...GOLDEN.hf_config });

/** Uniform in [-1/2, 1/2), the twin of `centred` in make_golden.py. */
function centred(count: number, salt: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => (hash32(i, salt) >>> 8) / 2 ** 24 - 0.5);
}

function goldenModel(): ThinkingModel {
  const weights = new Map<string, Float32Array>();
  for (const [name, shape] of parameterShapes(CONFIG)) {
    const values = centred(shape.reduce((product, size) => product * size, 1), weights.size);
    weights.set(name, shape.length === 1 ? values.map((value) => 1 + 0.5 * value) : values);
  }
  const marks = centred(3 * CONFIG.hiddenSize, 500).map((value) => 2 * value);
  const head = new MixingHead(CONFIG.hiddenSize, null);
  [head.input, head.hidden, head.output].forEach((layer, i) => {
    layer.weight.write(centred(layer.weight.size, 600 + 2 * i));
    layer.bias?.write(centred(layer.bias.size, 601 + 2 * i));
  });
  return new ThinkingModel(LlamaModel.fromState(CONFIG, weights), marks, head);
}

describe.each(['thoughts', 'pause'] as const)('thoughtLoss() against PyTorch (%s)', (kind) => {
  const golden = GOLDEN[kind];
  const { sequences, length, thoughts, thought_length: thoughtLength, ahead } = GOLDEN.sizes;
  const { plain: plainWeight, policy: policyWeight, temperature } = GOLDEN.weights;
  const ids = (count: number, salt: number) => goldenTokens(count, CONFIG.vocabSize, salt);
  const drawn = kind === 'pause' ? null : ids(thoughts * sequences * thoughtLength * length, 1002);
  let model: ThinkingModel;
  beforeAll(() => {
    model = goldenModel();
  });
  afterAll(() => model.dispose());

  it('has its loss and its gradients', () => {
    const options = { thoughts, thoughtLength, ahead, temperature, plainWeight, policyWeight };
    const { loss, ...facts } = scope(() => {
      const [inputs, targets] = [ids(sequences * length, 1000), ids(sequences * length, 1001)];
      const made = thoughtLoss(model, inputs, targets, length, drawn, options);
      backward(made.loss);
      return { ...made, loss: made.loss.item() };
    });
    expect(loss).toBeCloseTo(golden.loss, 4);
    expect(facts.talkNats).toBeCloseTo(golden.talk_nats, 4);
    expect(facts.plainNats).toBeCloseTo(golden.plain_nats, 4);
    expect(facts.rewardNats).toBeCloseTo(golden.reward_nats, 4);
    const parameters = model.namedParameters();
    const names = Object.keys(golden.gradients);
    expect([...parameters.keys()].sort()).toEqual([...names].sort());
    for (const [name, { norm, samples }] of Object.entries(golden.gradients)) {
      const gradient = parameters.get(name)?.grad?.toFloat32Array() ?? new Float32Array(1e5);
      const size = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0));
      expect(Math.abs(size - norm)).toBeLessThan(1e-4 * Math.max(norm, 0.1));
      for (const [at, value] of samples) expect(Math.abs((gradient[at] ?? Number.NaN) - value)).toBeLessThan(2e-4);
    }
  });
});
