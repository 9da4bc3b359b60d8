// Generates greedily with llama.cpp for sections/generation.mjs: a number of tokens per line in, tokens per second out.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const { llama: folder, threads, file, promptTokens } = JSON.parse(process.argv[2]);
const require = createRequire(join(folder, 'package.json'));
const { getLlama } = await import(pathToFileURL(require.resolve('node-llama-cpp')).href);
const { version } = require(join(folder, 'node_modules/node-llama-cpp/package.json'));
// Its messages would mix with the answers.
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: threads });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({ threads, contextSize: 256 });
const sequence = context.getSequence();
const prompt = Array.from({ length: promptTokens }, (_, i) => 10 + i);

console.log(JSON.stringify({ llama: `node-llama-cpp ${version}` }));
for await (const line of createInterface({ input: process.stdin })) {
  await sequence.clearHistory();
  let count = 0;
  let started = 0;
  for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    // The first token comes with the prompt, whose time is left out.
    if (count++ === 0) started = performance.now();
    if (count > Number(line)) break;
  }
  console.log(JSON.stringify({ tokensPerSecond: (1000 * (count - 1)) / (performance.now() - started) }));
}
process.exit(0);
