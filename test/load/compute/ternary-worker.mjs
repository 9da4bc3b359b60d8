// One row times ternary weights for sections/ternary.mjs: a number of products per line in, operations per second out.
import { createInterface } from 'node:readline';
import {
  normal,
  Philox,
  scope,
  selectDevice,
  TernaryMatrix,
  tensor,
  ternaryMatmul,
} from '@agentforge/tensor';

const { rows, columns, device, threads } = JSON.parse(process.argv[2]);
const backend = selectDevice(device, { threads });
const x = normal(new Philox(1), [1, columns]);
const codes = Int8Array.from({ length: columns }, (_, i) => (i % 3) - 1);
const all = new Int8Array(rows * columns);
for (let row = 0; row < rows; row++) all.set(codes, row * columns);
const weights = scope(() => TernaryMatrix.pack({ codes: tensor(all, [rows, columns]), step: tensor([1]) }));

/** Starts all products, then waits for the last. */
function products(count) {
  const started = performance.now();
  scope(() => {
    let y = x;
    for (let i = 0; i < count; i++) y = ternaryMatmul(x, weights);
    y.toTypedArray();
  });
  return (2e-6 * rows * columns * count) / (performance.now() - started);
}

console.log(JSON.stringify(backend));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify({ gops: products(Number(line)) }));
}
