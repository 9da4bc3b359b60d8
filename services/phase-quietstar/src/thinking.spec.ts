import { byteTokenizer, encodeSplit, LlamaModel, presetConfig } from '@agentforge/model';
import type { Checkpoint, FileSet, PhaseContext, StoredBlob } from '@agentforge/phase-runtime/worker';
import { Philox } from '@agentforge/tensor';
import { type QuietstarConfig, quietstarConfig } from './domain/quietstar-config.js';
import { taskRows } from './domain/scored-rows.js';
import { Thinking } from './thinking.js';
import type { ThinkingInputs } from './thinking-inputs.js';

const SHAPE = presetConfig('pico', {
  ...{ vocabSize: 257, hiddenSize: 16, numLayers: 1, numHeads: 2, numKvHeads: 1, headDim: 8 },
  ...{ intermediateSize: 32, contextLength: 64 },
});
const CONFIG = quietstarConfig.parse({
  ...{ thought_length: 2, first_thought_length: 2, ahead: 1, steps: 1, warmup_steps: 0 },
  ...{ batch_size: 2, micro_batch: 1, sequence_length: 8, eval_tokens: 16, report_tokens: 48 },
});

/** Work that has to leave. */
class Evicted extends Error {}

/** A context whose work has to leave at every safe point, or at none, and goes on from there. */
class Machine {
  private saved: FileSet | null = null;
  runs = 0;

  constructor(private readonly isHostile: boolean) {}

  async finish(inputs: ThinkingInputs) {
    for (;;) {
      this.runs += 1;
      if (this.runs > 40) throw new Error('the work never ends');
      try {
        return await new Thinking(this.context(), inputs).run();
      } catch (error) {
        if (!(error instanceof Evicted)) throw error;
      }
    }
  }

  private context(): PhaseContext<QuietstarConfig> {
    const context: Partial<PhaseContext<QuietstarConfig>> = {
      config: CONFIG,
      seed: 5n,
      progress: () => {},
      throwIfAborted: () => {},
      store: async (bytes) => ({ digest: 'd', sizeBytes: 0n, bytes }) as StoredBlob,
      restore: async (decode) => (this.saved ? decode(checkpointOf(this.saved)) : null),
      isSafePointDue: () => this.isHostile,
      safePoint: async (snapshot) => {
        this.saved = await snapshot();
        throw new Evicted();
      },
    };
    return context as PhaseContext<QuietstarConfig>;
  }
}

function checkpointOf(files: FileSet): Checkpoint {
  const bytesOf = (file: unknown) =>
    file instanceof Uint8Array ? file : (file as { readonly bytes: Uint8Array }).bytes;
  const checkpoint: Partial<Checkpoint> = {
    files: files as Checkpoint['files'],
    read: async (path) => bytesOf(files.get(path)),
  };
  return checkpoint as Checkpoint;
}

describe('Thinking', () => {
  it('comes to its end, and to the same, however often it has to leave while it judges', async () => {
    const llama = LlamaModel.init(SHAPE, new Philox(1));
    const weights = llama.exportWeights();
    llama.dispose();
    const tokenizer = byteTokenizer();
    const stream = encodeSplit(tokenizer, {
      documents: ['The keeper counted the lamps in year 37. '.repeat(3)],
    });
    const tasks = ['1', '2', '3'].map((id) => ({ id, prompt: `${id} +`, answer: ' 4' }));
    const inputs = {
      ...{ config: SHAPE, weights, tokenizer, train: stream, fitness: stream, report: stream },
      ...{ tasks: taskRows(tasks, tokenizer), identity: [] },
    } as unknown as ThinkingInputs;
    const whole = await new Machine(false).finish(inputs);
    const hostile = new Machine(true);
    expect(await hostile.finish(inputs)).toEqual(whole);
    // Two steps, three batches of text and two of tasks for each arm, and the run that finds everything done.
    expect(hostile.runs).toBe(2 + 2 * (3 + 2) + 1);
  });
});
