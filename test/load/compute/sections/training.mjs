// Optimizer steps of the model family, and the memory they take, beside PyTorch.
import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PRESETS } from '@agentforge/model';
import { alone, compared, labelled } from '../figures.mjs';
import { talkTo } from '../worker.mjs';

/** Rows and tokens per row of a step, by preset. */
const BATCHES = { pico: [16, 128], nano: [8, 256], small: [4, 256] };

/**
 * For PyTorch, which has no allocator of its own on the processor: glibc's malloc keeps large buffers for the next step instead
 * of giving them back to the system, which clears their pages anew each time. Ours keeps them by itself.
 */
const TUNED_MALLOC = {
  MALLOC_MMAP_MAX_: '0',
  MALLOC_TRIM_THRESHOLD_: String(2 ** 40),
  MALLOC_TOP_PAD_: String(2 ** 26),
};

const worker = fileURLToPath(new URL('../training-worker.mjs', import.meta.url));
const torchWorker = fileURLToPath(new URL('../torch_training_step.py', import.meta.url));

export async function run({ threads, torch, models, rounds, precision, machine, record }) {
  for (const model of models) {
    const [batch, length] = BATCHES[model];
    const work = JSON.stringify({ preset: model, config: PRESETS[model], batch, length, threads, precision });
    // Each side has a process of its own, so that the memory of one is not counted for the other.
    const ours = talkTo(fork(worker, [work], { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] }));
    const theirs =
      torch === undefined
        ? undefined
        : talkTo(
            spawn(torch, [torchWorker, work], {
              stdio: ['pipe', 'pipe', 'inherit'],
              env: { ...process.env, ...TUNED_MALLOC },
            }),
          );
    try {
      const { isa } = await ours.hello;
      const hello = await theirs?.hello;
      if (hello !== undefined) machine.peers.torch = hello.torch;
      const { suffix, shape } = labelled(`${model} ${batch}x${length}`, precision, isa);
      const steps = model === 'small' ? 1 : 4;
      await ours.ask(2);
      await theirs?.ask(2);
      const results = [];
      for (let round = 0; round < rounds; round++)
        results.push([await ours.ask(steps), await theirs?.ask(steps)]);
      const rates = results.map(([a, b]) => [a.tokensPerSecond, b?.tokensPerSecond]);
      record(
        compared({ name: `training step${suffix}`, shape, unit: 'tokens/s', reference: 'PyTorch' }, rates),
      );
      const [mine, other] = results.at(-1);
      const memory = { name: `training step memory${suffix}`, shape, unit: 'MiB' };
      const mib = (bytes) => bytes / 2 ** 20;
      record(
        other === undefined
          ? alone(memory, mib(mine.stepBytes))
          : {
              ...memory,
              value: mib(mine.stepBytes),
              reference: 'PyTorch',
              referenceValue: mib(other.stepBytes),
              ratio: other.stepBytes / mine.stepBytes,
            },
      );
    } finally {
      ours.stop();
      theirs?.stop();
    }
  }
}
