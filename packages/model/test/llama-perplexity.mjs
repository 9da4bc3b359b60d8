// Negative log-likelihood of token windows under llama.cpp, for gguf-perplexity.int.spec.ts.
// Argument: settings as JSON. Prints {"nll": sum in nats, "tokens": predicted}.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { folder, file, windowsFile } = JSON.parse(process.argv[2]);
const windows = JSON.parse(readFileSync(windowsFile, 'utf8'));
const require = createRequire(join(folder, 'package.json'));
const { getLlama } = await import(pathToFileURL(require.resolve('node-llama-cpp')).href);
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: 1 });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({ threads: 1, contextSize: windows[0].length + 1 });
const sequence = context.getSequence();

// Nothing may be cut from the distribution.
const whole = { temperature: 1, topK: 0, topP: 1, minP: 0 };
let nll = 0;
let tokens = 0;
for (const window of windows) {
  await sequence.clearHistory();
  const results = await sequence.controlledEvaluate(
    window.slice(0, -1).map((token) => [token, { generateNext: { logits: true, options: whole } }]),
  );
  for (const [position, result] of results.entries()) {
    const logits = [...result.next.logits.values()];
    const largest = logits.reduce((a, b) => Math.max(a, b));
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
    nll += largest + Math.log(sum) - result.next.logits.get(window[position + 1]);
    tokens++;
  }
}
console.log(JSON.stringify({ nll, tokens }));
process.exit(0);
