// Tokens per second with the KV cache, one sequence, beside llama.cpp on the same weights.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exportGguf, generate, LlamaModel, presetConfig, trainBpe } from '@agentforge/model';
import { Philox, selectDevice } from '@agentforge/tensor';
import { compared } from '../figures.mjs';
import { talkTo } from '../worker.mjs';

/** Tokens of the prompt and generated ones of a round. */
const PROMPT = 16;
const TOKENS = 96;

const llamaWorker = fileURLToPath(new URL('../llama-worker.mjs', import.meta.url));

export async function run({ threads, llama, models, rounds, machine, record }) {
  selectDevice('cpu', { threads });
  const tokenizer = trainBpe(['To be or not to be, that is the question. '.repeat(8)], { vocabSize: 280 });
  const folder = mkdtempSync(join(tmpdir(), 'forge-bench-'));
  try {
    for (const preset of models) {
      const model = LlamaModel.init(presetConfig(preset), new Philox(1));
      const theirs =
        llama && (await peer({ llama, threads, file: join(folder, `${preset}.gguf`), model, tokenizer }));
      if (theirs) machine.peers.llama = (await theirs.hello).llama;
      const prompt = Int32Array.from({ length: PROMPT }, (_, i) => 10 + i);
      const options = { maxTokens: TOKENS, temperature: 0, stopAtEos: false };
      const ours = async () => {
        const tokens = generate(model, tokenizer, prompt, options);
        for (;;) {
          const { done, value } = await tokens.next();
          if (done) return value.tokensPerSecond;
        }
      };
      const round = async () => [await ours(), theirs && (await theirs.ask(TOKENS)).tokensPerSecond];
      await round();
      const results = [];
      for (let i = 0; i < rounds; i++) results.push(await round());
      theirs?.stop();
      model.dispose();
      const name = { name: 'generation', shape: `${preset}, ${TOKENS} tokens`, unit: 'tokens/s' };
      record(compared({ ...name, reference: 'llama.cpp F16' }, results));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function peer({ llama, threads, file, model, tokenizer }) {
  const weights = model.exportWeights();
  await exportGguf(file, { config: model.config, weights }, tokenizer, { type: 'f16' });
  const work = JSON.stringify({ llama, threads, file, promptTokens: PROMPT });
  return talkTo(spawn(process.execPath, [llamaWorker, work], { stdio: ['pipe', 'pipe', 'inherit'] }));
}
