// Optimizer steps of the model family, and the memory they take, beside PyTorch.
import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PRESETS } from '@agentforge/model';
import { alone, compared } from '../figures.mjs';
import { talkTo } from '../worker.mjs';

/** Rows and tokens per row of a step, by preset. */
const BATCHES = { pico: [16, 128], nano: [8, 256], small: [4, 256] };

const worker = fileURLToPath(new URL('../training-worker.mjs', import.meta.url));
const torchWorker = fileURLToPath(new URL('../torch_training_step.py', import.meta.url));

export async function run({ threads, torch, models, rounds, machine, record }) {
  for (const model of models) {
    const [batch, length] = BATCHES[model];
    const work = JSON.stringify({ preset: model, config: PRESETS[model], batch, length, threads });
    const shape = `${model} ${batch}x${length}`;
    // Each side has a process of its own, so that the memory of one is not counted for the other.
    const ours = talkTo(fork(worker, [work], { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] }));
    const theirs =
      torch === undefined
        ? undefined
        : talkTo(spawn(torch, [torchWorker, work], { stdio: ['pipe', 'pipe', 'inherit'] }));
    try {
      await ours.hello;
      const hello = await theirs?.hello;
      if (hello !== undefined) machine.peers.torch = hello.torch;
      const steps = model === 'small' ? 1 : 4;
      await ours.ask(2);
      await theirs?.ask(2);
      const results = [];
      for (let round = 0; round < rounds; round++)
        results.push([await ours.ask(steps), await theirs?.ask(steps)]);
      const rates = results.map(([a, b]) => [a.tokensPerSecond, b?.tokensPerSecond]);
      record(compared({ name: 'training step', shape, unit: 'tokens/s', reference: 'PyTorch' }, rates));
      const [mine, other] = results.at(-1);
      const memory = { name: 'training step memory', shape, unit: 'MiB' };
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
