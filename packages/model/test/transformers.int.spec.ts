import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { noGrad, Philox, scope, tensor } from '@agentforge/tensor';
import {
  BpeTokenizer,
  type BpeVocabulary,
  END_OF_TEXT,
  LlamaModel,
  loadModel,
  type ModelConfig,
  presetConfig,
  saveModel,
  trainBpe,
} from '../src/index.js';

const python = process.env['FORGE_TEST_PYTHON'];
const script = fileURLToPath(new URL('./compare_logits.py', import.meta.url));
const usable =
  python !== undefined &&
  spawnSync(python, ['-c', 'import torch, transformers'], { timeout: 120_000 }).status === 0;

if (!usable) {
  const reason = python === undefined ? 'is not set' : `(${python}) cannot import torch and transformers`;
  console.warn(`SKIPPED: loading a saved model in transformers: FORGE_TEST_PYTHON ${reason}`);
}

const TEXTS = [
  'First Citizen: Before we proceed any further, hear me speak.',
  'naïve café — 你好 🎉\n\n  tabs\t',
  'x',
  "DON'T 1234 12\n  3 it's!\n",
];

interface Answer {
  readonly class: string;
  readonly eos: number;
  readonly loading: Record<string, string[]>;
  readonly results: { ids: number[]; logits: number[] }[];
}

const VARIANTS: [string, Partial<ModelConfig>, Partial<BpeVocabulary>][] = [
  ['plain', {}, {}],
  [
    'linear, SmolLM tokenizer',
    { ropeScaling: { type: 'linear', factor: 2 }, mlpBias: true },
    { preTokenizer: 'smollm' },
  ],
  [
    'llama3, Llama 3 tokenizer',
    {
      ropeScaling: {
        type: 'llama3',
        factor: 8,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalContextLength: 128,
      },
      attentionBias: true,
    },
    { preTokenizer: 'llama3', ignoreMerges: true, bosToken: END_OF_TEXT },
  ],
  [
    'factors',
    { ropeScaling: { type: 'factors', factors: Array.from({ length: 32 }, (_, i) => 1 + i / 4) } },
    {},
  ],
];

(usable ? describe : describe.skip)('saveModel() and transformers', () => {
  it.each(VARIANTS)(
    'give and take a folder that loads completely, with the same ids and logits to 1e-3 (%s)',
    async (_, variant, kind) => {
      const directory = await mkdtemp(join(tmpdir(), 'transformers-'));
      const { vocabulary } = trainBpe([TEXTS.join('\n').repeat(3)], { vocabSize: 400 });
      const tokenizer = new BpeTokenizer({ ...vocabulary, ...kind });
      const start = tokenizer.bosId === null ? [] : [tokenizer.bosId];
      const random = LlamaModel.init(presetConfig('pico', variant), new Philox(1));
      // Ten times the usual start values: logits of a few units, far from the tolerance.
      const weights = random.exportWeights();
      for (const [name, values] of weights) {
        if (!name.includes('norm'))
          weights.set(
            name,
            name.endsWith('.bias') ? values.map((_, i) => Math.sin(i)) : values.map((value) => 10 * value),
          );
      }
      const model = LlamaModel.fromState(random.config, weights);
      const resaved = join(directory, 'resaved');
      try {
        await saveModel(directory, model, tokenizer);
        const { stdout, stderr, status } = spawnSync(python ?? '', [script, directory, resaved], {
          input: JSON.stringify(TEXTS),
          encoding: 'utf8',
          maxBuffer: 2 ** 28,
        });
        if (status !== 0) throw new Error(stderr);
        const answer = JSON.parse(stdout) as Answer;
        expect(answer.class).toBe('LlamaForCausalLM');
        expect(answer.eos).toBe(tokenizer.eosId);
        expect(answer.loading).toEqual({ missing_keys: [], unexpected_keys: [], mismatched_keys: [] });
        for (const [i, { ids, logits }] of answer.results.entries()) {
          expect(ids).toEqual([...start, ...tokenizer.encode(TEXTS[i] ?? '')]);
          const ours = noGrad(() =>
            scope(() => model.forward(tensor(Int32Array.from(ids), [1, ids.length])).toFloat32Array()),
          );
          const worst = ours.reduce(
            (max, value, at) => Math.max(max, Math.abs(value - (logits[at] ?? Number.NaN))),
            0,
          );
          expect(worst).toBeLessThan(1e-3);
          expect(Math.max(...ours)).toBeGreaterThan(1);
        }
        const back = await loadModel(resaved);
        expect(back.config).toEqual(model.config);
        expect(back.model.exportWeights()).toEqual(model.exportWeights());
        expect(back.tokenizer.vocabulary).toEqual(tokenizer.vocabulary);
        back.model.dispose();
      } finally {
        await rm(directory, { recursive: true });
        model.dispose();
        random.dispose();
      }
    },
    180_000,
  );
});
