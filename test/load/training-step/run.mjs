// Training step of the pico model against eager PyTorch, interleaved in one run: node run.mjs --torch PYTHON [--threads N] [--rounds N] [--steps N]
// Without --torch it measures only this side. Prints medians and their ratio; both sides use f32 and the same threads.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { backendInfo, memoryStats, selectDevice } from '@agentforge/tensor';
import { trainer } from './pico.mjs';

const { values } = parseArgs({
  options: {
    torch: { type: 'string' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '8' },
    steps: { type: 'string', default: '4' },
  },
});
const threads = Number(values.threads);
const [rounds, steps] = [Number(values.rounds), Number(values.steps)];
const shape = {
  dim: 256,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  ffn: 512,
  vocab: 1024,
  batch: 16,
  length: 128,
  threads,
};

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Starts the peer; the function it returns runs some steps there. */
async function peer(python) {
  const script = fileURLToPath(new URL('torch_step.py', import.meta.url));
  const { OPENBLAS_CORETYPE: _, ...env } = process.env; // halves BLAS speed where it is set
  const child = spawn(python, [script, JSON.stringify(shape)], { stdio: ['pipe', 'pipe', 'inherit'], env });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const hello = JSON.parse((await lines.next()).value);
  return {
    hello,
    run: async (count) => {
      child.stdin.write(`${count}\n`);
      return JSON.parse((await lines.next()).value);
    },
    stop: () => child.stdin.end(),
  };
}

selectDevice('cpu', { threads });
const ours = trainer(shape);
const theirs = values.torch === undefined ? null : await peer(values.torch);
console.log(JSON.stringify({ shape, backend: backendInfo(), peer: theirs?.hello ?? null }));
ours(3);
await theirs?.run(3);
const [mine, other] = [[], []];
for (let round = 0; round < rounds; round++) {
  mine.push(...ours(steps).rates);
  if (theirs !== null) other.push(...(await theirs.run(steps)).rates);
}
theirs?.stop();
const result = {
  threads,
  agentforgeTokensPerSecond: Math.round(median(mine)),
  peakBytes: memoryStats().peakBytes,
};
if (theirs !== null) {
  result.torchTokensPerSecond = Math.round(median(other));
  result.ratio = Number((median(mine) / median(other)).toFixed(3));
}
console.log(JSON.stringify(result));
