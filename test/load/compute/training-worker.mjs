// Trains a preset on random tokens for sections/training.mjs: a number of steps per line in, rates and memory out.
import { createInterface } from 'node:readline';
import { captureTrainStep, LlamaModel, trainStep } from '@agentforge/model';
import { AdamW, decayGroups, memoryStats, Philox, selectDevice } from '@agentforge/tensor';
import { median } from './figures.mjs';

const { config, batch, length, device, threads, precision } = JSON.parse(process.argv[2]);
const backend = selectDevice(device, { threads });
const rng = new Philox(1);
const residentBefore = process.memoryUsage().rss;
const model = LlamaModel.init({ ...config, contextLength: Math.max(config.contextLength, length) }, rng);
const optimizer = new AdamW(decayGroups(model, 0.1), { lr: 3e-3, betas: [0.9, 0.95] });
const data = rng.stream('data');
const captured = backend.captures
  ? captureTrainStep(model, optimizer, { batchSize: batch, length, precision })
  : undefined;

function step() {
  const rows = Int32Array.from({ length: batch * length + 1 }, () => data.integer(config.vocabSize));
  const tokens = {
    inputs: rows.subarray(0, -1),
    targets: rows.subarray(1),
    batchSize: batch,
    length,
    bytes: 0,
  };
  const started = performance.now();
  if (captured === undefined) trainStep(model, optimizer, tokens, { precision });
  else captured.run(tokens);
  return (1000 * batch * length) / (performance.now() - started);
}

/** What the steps took at most: of the device's memory, or of this process's. */
const stepBytes = () =>
  backend.device === 'cuda'
    ? memoryStats().peakBytes
    : process.resourceUsage().maxRSS * 1024 - residentBefore;

console.log(JSON.stringify(backend));
for await (const line of createInterface({ input: process.stdin })) {
  const rates = Array.from({ length: Number(line) }, step);
  console.log(JSON.stringify({ tokensPerSecond: median(rates), stepBytes: stepBytes() }));
}
