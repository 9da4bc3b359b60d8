// Optimizer steps of the model family, and the memory they take, beside PyTorch.
import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PRESETS } from '@agentforge/model';
import { alone, compared, labelled } from '../figures.mjs';
import { talkTo } from '../worker.mjs';

/** Rows and tokens per row of a step, by device and preset. */
const BATCHES = {
  cpu: { pico: [16, 128], nano: [8, 256], small: [4, 256] },
  cuda: { pico: [128, 128], nano: [64, 256], small: [32, 512] },
};
/** Steps of a round, by device and preset. */
const STEPS = { cpu: { pico: 4, nano: 4, small: 1 }, cuda: { pico: 50, nano: 50, small: 10 } };
/** What stands beside ours: eager steps on the processor; on a GPU compiled ones. Both with fused attention and AdamW. */
const PEERS = { cpu: 'PyTorch', cuda: 'torch.compile' };

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

export async function run({ device, threads, torch, models, rounds, precision, machine, record }) {
  for (const model of models) {
    const [batch, length] = BATCHES[device][model];
    const config = PRESETS[model];
    const work = JSON.stringify({ config, batch, length, device, threads, precision });
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
      const backend = await ours.hello;
      if (backend.gpu !== null) machine.gpu = backend.gpu;
      const hello = await theirs?.hello;
      if (hello !== undefined) machine.peers.torch = hello.torch;
      const { suffix, shape } = labelled(`${model} ${batch}x${length}`, precision, backend);
      const reference = PEERS[device];
      const steps = STEPS[device][model];
      // The first steps compile or record what the later ones run.
      await ours.ask(4);
      await theirs?.ask(4);
      const results = [];
      for (let round = 0; round < rounds; round++)
        results.push([await ours.ask(steps), await theirs?.ask(steps)]);
      const rates = results.map(([a, b]) => [a.tokensPerSecond, b?.tokensPerSecond]);
      record(compared({ name: `training step${suffix}`, shape, unit: 'tokens/s', reference }, rates));
      const [mine, other] = results.at(-1);
      const memory = { name: `training step memory${suffix}`, shape, unit: 'MiB' };
      const mib = (bytes) => bytes / 2 ** 20;
      record(
        other === undefined
          ? alone(memory, mib(mine.stepBytes))
          : {
              ...memory,
              value: mib(mine.stepBytes),
              reference,
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
