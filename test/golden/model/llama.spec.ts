import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  byteTokenizer,
  directorySource,
  fromHfConfig,
  generateText,
  LlamaModel,
  openSafetensors,
  parameterShapes,
  type TokenBatch,
  trainStep,
} from '@agentforge/model';
import { AdamW, decayGroups, noGrad, scope, tensor } from '@agentforge/tensor';
import { goldenTokens, goldenWeights } from './golden-weights.js';

interface Golden {
  readonly hf_config: Record<string, unknown>;
  readonly loss: number;
  readonly greedy: number[];
  readonly parameters: [string, number[]][];
  readonly training: {
    readonly options: { lr: number; betas: [number, number]; eps: number; weight_decay: number; clip: number };
    readonly steps: { loss: number; grad_norm: number }[];
    readonly gradients: Record<string, { norm: number; samples: [number, number][] }>;
    readonly final_norms: Record<string, number>;
  };
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
const GOLDEN = JSON.parse(readFileSync(`${HERE}llama.json`, 'utf8')) as Record<'pico' | 'untied', Golden>;

/** Inputs and targets of one golden batch: rows of length + 1 tokens. */
function goldenBatch(rows: number, length: number, vocabSize: number, salt: number): TokenBatch {
  const ids = goldenTokens(rows * (length + 1), vocabSize, salt);
  const inputs = new Int32Array(rows * length);
  const targets = new Int32Array(rows * length);
  for (let row = 0; row < rows; row++) {
    const start = row * (length + 1);
    inputs.set(ids.subarray(start, start + length), row * length);
    targets.set(ids.subarray(start + 1, start + 1 + length), row * length);
  }
  return { inputs, targets, batchSize: rows, length, bytes: 0 };
}

function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

describe.each(['pico', 'untied'] as const)('LlamaModel against transformers (%s)', (name) => {
  const golden = GOLDEN[name];
  const config = fromHfConfig({ model_type: 'llama', bos_token_id: 0, eos_token_id: 0, ...golden.hf_config });
  let model: LlamaModel;

  beforeEach(() => {
    model = LlamaModel.fromState(config, goldenWeights(config));
  });
  afterEach(() => model.dispose());

  it('has the same parameters in the same order', () => {
    expect([...parameterShapes(config)]).toEqual(golden.parameters);
    expect([...model.namedParameters()].map(([key, { shape }]) => [key, [...shape]])).toEqual(golden.parameters);
  });

  it('gives the same logits to 1e-4', async () => {
    const reader = await openSafetensors(directorySource(HERE), 'logits.safetensors');
    const expected = await reader.readF32(`${name}.logits`);
    const { inputs, targets } = goldenBatch(2, 16, config.vocabSize, 1000);
    noGrad(() =>
      scope(() => {
        const logits = model.forward(tensor(inputs, [2, 16])).toFloat32Array();
        expect(logits).toHaveLength(expected.length);
        const worst = logits.reduce((max, value, i) => Math.max(max, Math.abs(value - (expected[i] ?? 0))), 0);
        expect(worst).toBeLessThan(1e-4);
        const loss = model.loss(tensor(inputs, [2, 16]), tensor(targets, [2, 16])).item();
        expect(Math.abs(loss / golden.loss - 1)).toBeLessThan(1e-5);
      }),
    );
  });

  it('continues greedily with the same tokens', async () => {
    const prompt = goldenTokens(8, config.vocabSize, 1001);
    const options = { maxTokens: 24, temperature: 0, stopAtEos: false };
    const { tokens } = await generateText(model, byteTokenizer(), prompt, options);
    expect(tokens).toEqual(golden.greedy);
  }, 60_000);

  it('trains ten AdamW steps to the same losses (1e-4 relative), with the same gradient of every parameter', () => {
    const { options, steps, gradients, final_norms: finalNorms } = golden.training;
    const optimizer = new AdamW(decayGroups(model, options.weight_decay), {
      lr: options.lr,
      betas: options.betas,
      eps: options.eps,
    });
    const checkGradients = (): void => {
      for (const [parameterName, parameter] of model.namedParameters()) {
        const expected = gradients[parameterName];
        if (parameter.grad === null || expected === undefined) throw new Error(`no gradient of ${parameterName}`);
        const gradient = parameter.grad.toFloat32Array();
        expect(Math.abs(norm(gradient) / expected.norm - 1)).toBeLessThan(1e-4);
        // Single elements: f32 sums in another order, relative to the typical element of this parameter.
        const tolerance = 1e-3 * (expected.norm / Math.sqrt(gradient.length));
        for (const [index, value] of expected.samples) {
          expect(Math.abs((gradient[index] ?? Number.NaN) - value)).toBeLessThan(tolerance);
        }
      }
    };
    steps.forEach((expected, step) => {
      const batch = goldenBatch(4, 32, config.vocabSize, 2000 + (step % 3));
      const result = trainStep(model, optimizer, batch, {
        clipNorm: options.clip,
        ...(step === 0 ? { beforeClip: checkGradients } : {}),
      });
      expect(Math.abs(result.loss / expected.loss - 1)).toBeLessThan(1e-4);
      // Norms late in training carry the rounding of all steps before.
      expect(Math.abs(result.gradNorm / expected.grad_norm - 1)).toBeLessThan(1e-3);
    });
    for (const [key, values] of model.exportWeights()) {
      expect(Math.abs(norm(values) / (finalNorms[key] ?? Number.NaN) - 1)).toBeLessThan(1e-4);
    }
    optimizer.dispose();
  });
});
