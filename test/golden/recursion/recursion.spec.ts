import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fromHfConfig, LlamaModel, superviseDeeply } from '@agentforge/model';
import { noGrad, scope, type Tensor, tensor } from '@agentforge/tensor';
import { goldenTokens, goldenWeights } from '../model/golden-weights.js';

interface GoldenFile {
  readonly hf_config: Record<string, unknown>;
  readonly recursion: Record<string, number>;
  readonly rows: number;
  readonly length: number;
  readonly steps: { loss: number; halting: number; right: number; log_odds: number[]; logits: number[] }[];
  readonly gradients: Record<string, { norm: number; samples: [number, number][] }>;
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
const GOLDEN = JSON.parse(readFileSync(`${HERE}golden.json`, 'utf8')) as GoldenFile;
const CONFIG = fromHfConfig({
  ...{ model_type: 'recursive_llama', bos_token_id: 0, eos_token_id: 0, ...GOLDEN.hf_config },
  recursion: { ...GOLDEN.recursion, halt_threshold: 0.99 },
});
const { rows, length } = GOLDEN;
const tokens = goldenTokens(rows * length, CONFIG.vocabSize, 1000);
const targets = goldenTokens(rows * length, CONFIG.vocabSize, 1001);

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual).toHaveLength(expected.length);
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs((actual[i] ?? Number.NaN) - (expected[i] ?? 0))).toBeLessThan(tolerance);
}

describe('recursive reasoning against PyTorch', () => {
  const model = LlamaModel.fromState(CONFIG, goldenWeights(CONFIG));
  afterAll(() => model.dispose());

  it('answers as it does at every supervision step, with the same halting head', () => {
    const input = tensor(tokens, [rows, length]);
    GOLDEN.steps.forEach(({ logits, log_odds: logOdds }, step) => {
      noGrad(() =>
        scope(() => {
          const forward = model.forward(input, { steps: step + 1, lastOnly: true });
          expectClose(forward.toFloat32Array(), logits, 1e-4);
          let state: { answer: Tensor; latent: Tensor } | null = null;
          for (let i = 0; i <= step; i++) state = model.reason(input, state, i);
          const answer = (state as { answer: Tensor } | null)?.answer as Tensor;
          expectClose(model.recursion?.forward(answer).toFloat32Array() ?? [], logOdds, 1e-4);
        }),
      );
    });
    input.dispose();
  });

  it('has the losses and gradients of deep supervision', () => {
    const { lossNats, haltingNats } = superviseDeeply(model, tokens, targets, [rows, length], 1);
    expectClose(lossNats, GOLDEN.steps.map(({ loss }) => loss), 1e-5);
    expectClose(haltingNats, GOLDEN.steps.map(({ halting }) => halting), 1e-5);
    expect(GOLDEN.steps.some(({ right }) => right > 0)).toBe(true);
    const parameters = model.namedParameters();
    expect([...parameters.keys()].sort()).toEqual(Object.keys(GOLDEN.gradients).sort());
    for (const [name, { norm, samples }] of Object.entries(GOLDEN.gradients)) {
      const gradient = parameters.get(name)?.grad?.toFloat32Array() ?? new Float32Array();
      expect(Math.abs(Math.hypot(...gradient) - norm) / norm).toBeLessThan(1e-3);
      for (const [i, value] of samples)
        expect(Math.abs((gradient[i] ?? Number.NaN) - value)).toBeLessThan(1e-5 + 1e-3 * Math.abs(value));
    }
  });
});
