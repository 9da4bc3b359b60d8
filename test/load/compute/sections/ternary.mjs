// One row times ternary weights on a GPU, beside the same product in bf16 from cuBLAS.
import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compared } from '../figures.mjs';
import { talkTo } from '../worker.mjs';

/** Rows and columns of the weights: on both sides more bytes than a cache holds, which would answer from the second product on. */
const SIZES = [16384, 32768];
/** Products that a side starts before it waits. */
const CALLS = 200;

const worker = fileURLToPath(new URL('../ternary-worker.mjs', import.meta.url));
const torchWorker = fileURLToPath(new URL('../torch_row_product.py', import.meta.url));

export async function run({ device, threads, torch, rounds, machine, record }) {
  for (const size of SIZES) {
    const work = JSON.stringify({ rows: size, columns: size, device, threads });
    const ours = talkTo(fork(worker, [work], { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] }));
    const theirs =
      torch === undefined
        ? undefined
        : talkTo(spawn(torch, [torchWorker, work], { stdio: ['pipe', 'pipe', 'inherit'] }));
    try {
      machine.gpu = (await ours.hello).gpu;
      const hello = await theirs?.hello;
      if (hello !== undefined) machine.peers.torch = hello.torch;
      const rates = [];
      for (let round = 0; round <= rounds; round++) {
        const [mine, other] = [await ours.ask(CALLS), await theirs?.ask(CALLS)];
        // The first round warms up.
        if (round > 0) rates.push([mine.gops, other?.gops]);
      }
      const shape = `${size}x${size}, ${device}`;
      record(compared({ name: 'ternary row', shape, unit: 'GOP/s', reference: 'cuBLAS bf16' }, rates));
    } finally {
      ours.stop();
      theirs?.stop();
    }
  }
}
