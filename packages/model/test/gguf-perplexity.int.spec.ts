import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AdamW, decayGroups, noGrad, Philox, scope, tensor } from '@agentforge/tensor';
import {
  BatchCursor,
  type BpeTokenizer,
  directorySource,
  encodeSplit,
  exportGguf,
  type GgufExportType,
  LlamaModel,
  loadGguf,
  type ModelConfig,
  parameterShapes,
  presetConfig,
  readCorpus,
  splitCorpus,
  toBitNet,
  trainBpe,
  trainStep,
} from '../src/index.js';

/** A folder whose node_modules has node-llama-cpp with a prebuilt llama.cpp. */
const llama = process.env['FORGE_TEST_LLAMA'];
/** A text to train on and to hold out; the corpus of the golden files is small. */
const text =
  process.env['FORGE_TEST_CORPUS'] ??
  fileURLToPath(new URL('../../../test/golden/model/corpus.txt', import.meta.url));
const worker = fileURLToPath(new URL('./llama-perplexity.mjs', import.meta.url));
const resolved =
  llama === undefined
    ? null
    : spawnSync(process.execPath, ['-e', 'require.resolve("node-llama-cpp")'], { cwd: llama });

if (resolved?.status !== 0) {
  const reason = llama === undefined ? 'is not set' : `(${llama}) has no node_modules/node-llama-cpp`;
  console.warn(`SKIPPED: perplexity of exported GGUF files in llama.cpp: FORGE_TEST_LLAMA ${reason}`);
}

const LENGTH = 128;
const WINDOWS = 24;
const STEPS = 300;

(resolved?.status === 0 ? describe : describe.skip)('exportGguf() and llama.cpp', () => {
  let folder: string;
  let tokenizer: BpeTokenizer;
  let windows: number[][];
  let plain: LlamaModel;
  let ternary: LlamaModel;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gguf-llama-'));
    const corpus = splitCorpus(await readCorpus([text]));
    tokenizer = trainBpe(corpus.train.documents, { vocabSize: 512 });
    const held = encodeSplit(tokenizer, corpus.report).tokens;
    const count = Math.min(WINDOWS, Math.floor(held.length / LENGTH));
    windows = Array.from({ length: count }, (_, i) => [...held.subarray(i * LENGTH, (i + 1) * LENGTH)]);
    const trained = (isTernary: boolean) => {
      const model = LlamaModel.init(presetConfig('pico', { vocabSize: tokenizer.vocabSize }), new Philox(1));
      if (isTernary) toBitNet(model);
      const batches = new BatchCursor([{ name: 'train', stream: encodeSplit(tokenizer, corpus.train) }], {
        batchSize: 8,
        length: 64,
        seed: new Philox(2),
      });
      const optimizer = new AdamW(decayGroups(model, 0.1), { lr: 2e-3, betas: [0.9, 0.95] });
      for (let step = 0; step < STEPS; step++) trainStep(model, optimizer, batches.next());
      return model;
    };
    plain = trained(false);
    ternary = trained(true);
  }, 600_000);

  afterAll(async () => {
    plain?.dispose();
    ternary?.dispose();
    await rm(folder, { recursive: true });
  });

  // F16: llama.cpp rounds activations and the cache to f16. Ternary: it rounds activations to 8 bits by blocks of 256.
  it.each<[GgufExportType, number]>([
    ['f16', 0.001],
    ['tq2_0', 0.01],
    ['tq1_0', 0.01],
  ])(
    'agree on the perplexity of a %s file on text that was held out, to a share of %d',
    async (type, tolerance) => {
      const file = join(folder, `${type}.gguf`);
      const windowsFile = join(folder, 'windows.json');
      await writeFile(windowsFile, JSON.stringify(windows));
      const { tensors } = await exportGguf(file, type === 'f16' ? plain : ternary, tokenizer, { type });
      // What is written is what was trained: nothing was rounded on the way.
      expect(tensors.some(({ wasTernarized }) => wasTernarized)).toBe(false);
      const { model } = await loadGguf(directorySource(folder), `${type}.gguf`);
      const ours = perplexityOf(model, windows);
      model.dispose();
      const { theirs, tokens } = theirPerplexity(file, windowsFile);
      console.log(
        `${type}: perplexity here ${ours.toFixed(4)}, in llama.cpp ${theirs.toFixed(4)}, ${tokens} tokens`,
      );
      expect(tokens).toBe(windows.length * (LENGTH - 1));
      // A model that learnt nothing would score its vocabulary.
      expect(ours).toBeLessThan(tokenizer.vocabSize / 2);
      expect(Math.abs(theirs / ours - 1)).toBeLessThan(tolerance);
    },
    600_000,
  );

  it.each<[string, Partial<ModelConfig>]>([
    ['linear', { ropeScaling: { type: 'linear', factor: 4 } }],
    [
      'llama3',
      {
        ropeScaling: {
          type: 'llama3',
          factor: 8,
          lowFreqFactor: 1,
          highFreqFactor: 4,
          originalContextLength: 64,
        },
      },
    ],
    ['biases', { attentionBias: true, mlpBias: true }],
  ])(
    'agree on the perplexity of a model with %s, which differs from that of the model without, to a share of 0.001',
    async (name, variant) => {
      const file = join(folder, `${name}.gguf`);
      const windowsFile = join(folder, 'windows.json');
      await writeFile(windowsFile, JSON.stringify(windows));
      const config = { ...plain.config, ...variant };
      const weights = plain.exportWeights();
      for (const [parameter, shape] of parameterShapes(config)) {
        if (weights.has(parameter)) continue;
        weights.set(
          parameter,
          Float32Array.from({ length: shape[0] ?? 0 }, (_, i) => 0.3 * Math.sin(i)),
        );
      }
      const model = LlamaModel.fromState(config, weights);
      await exportGguf(file, model, tokenizer, { type: 'f16' });
      const ours = perplexityOf(model, windows);
      model.dispose();
      const { theirs } = theirPerplexity(file, windowsFile);
      console.log(`${name}: perplexity here ${ours.toFixed(4)}, in llama.cpp ${theirs.toFixed(4)}`);
      expect(Math.abs(theirs / ours - 1)).toBeLessThan(0.001);
      expect(Math.abs(perplexityOf(plain, windows) / ours - 1)).toBeGreaterThan(0.003);
    },
    600_000,
  );
});

/** Perplexity of the windows in a file under llama.cpp. */
function theirPerplexity(file: string, windowsFile: string): { theirs: number; tokens: number } {
  const settings = JSON.stringify({ folder: llama, file, windowsFile });
  const { status, stderr, stdout } = spawnSync(process.execPath, [worker, settings], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  const answer = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { nll: number; tokens: number };
  return { theirs: Math.exp(answer.nll / answer.tokens), tokens: answer.tokens };
}

/** Perplexity of windows, each from its own beginning. */
function perplexityOf(model: LlamaModel, windows: readonly number[][]): number {
  let nll = 0;
  let tokens = 0;
  for (const window of windows) {
    const logits = noGrad(() =>
      scope(() => model.forward(tensor(Int32Array.from(window), [1, window.length])).toFloat32Array()),
    );
    const width = logits.length / window.length;
    for (const [position, target] of window.slice(1).entries()) {
      const row = logits.subarray(position * width, (position + 1) * width);
      const largest = row.reduce((a, b) => Math.max(a, b));
      const sum = row.reduce((total, logit) => total + Math.exp(logit - largest), 0);
      nll += largest + Math.log(sum) - (row[target] ?? Number.NaN);
      tokens++;
    }
  }
  return Math.exp(nll / tokens);
}
