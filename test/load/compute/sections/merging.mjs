// Merges of one large tensor beside mergekit, on the same numbers.
import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compared } from '../figures.mjs';
import { talkTo } from '../worker.mjs';

const SHAPE = [4096, 4096];

const method = (name, models, base = false, parameters = {}) => ({ method: name, models, base, parameters });
const weighted = { weight: 0.5 };
const sparse = { weight: 0.5, density: 0.5 };

/** What is merged; `isRandom` where the two sides draw different numbers, so that results cannot be compared. */
const CASES = [
  method('linear', 3, false, { weight: 1 }),
  method('slerp', 2, false, { t: 0.5 }),
  method('nuslerp', 2, false, { weight: 1 }),
  method('karcher', 3),
  method('model_stock', 3, true),
  method('task_arithmetic', 3, true, weighted),
  method('ties', 3, true, sparse),
  { ...method('dare_ties', 3, true, sparse), isRandom: true },
  method('breadcrumbs', 3, true, sparse),
  { ...method('della', 3, true, sparse), isRandom: true },
  method('sce', 3, true),
  method('arcee_fusion', 1, true),
];

/** Most that sums of absolute results may differ, relative: thresholds may choose among equal entries. */
const TOLERANCE = 1e-3;

const worker = fileURLToPath(new URL('../merging-worker.mjs', import.meta.url));
const peer = fileURLToPath(new URL('../mergekit_merge.py', import.meta.url));

export async function run({ threads, mergekit, rounds, machine, record, say }) {
  if (mergekit === undefined) return;
  const work = JSON.stringify({ cases: CASES, shape: SHAPE, threads });
  const ours = talkTo(fork(worker, [work], { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] }));
  const theirs = talkTo(spawn(mergekit, [peer, work], { stdio: ['pipe', 'pipe', 'inherit'] }));
  try {
    await ours.hello;
    machine.peers.mergekitTorch = (await theirs.hello).torch;
    for (const [number, { method: name, models, isRandom }] of CASES.entries()) {
      const results = [];
      await ours.ask(number);
      for (let round = 0; round < Math.max(3, rounds / 2); round++)
        results.push([await ours.ask(number), await theirs.ask(number)]);
      const [mine, other] = results[0];
      if (other.error !== undefined) {
        say(`merge ${name}: mergekit cannot: ${other.error}`);
        continue;
      }
      if (!isRandom && Math.abs(mine.sum - other.sum) > TOLERANCE * other.sum)
        throw new Error(`${name}: ours sums to ${mine.sum}, mergekit's to ${other.sum}`);
      const elements = SHAPE[0] * SHAPE[1] * models;
      record(
        compared(
          {
            name: `merge ${name}`,
            shape: `${models} x ${SHAPE.join('x')}`,
            unit: 'M/s',
            reference: 'mergekit',
          },
          results.map((pair) => pair.map(({ seconds }) => elements / seconds / 1e6)),
        ),
      );
    }
  } finally {
    ours.stop();
    theirs.stop();
  }
}
