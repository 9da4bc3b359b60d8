import { byteTokenizer, encodeSplit, LlamaModel, presetConfig } from '@agentforge/model';
import { EvictingMachine } from '@agentforge/phase-runtime/testing';
import type { PhaseContext } from '@agentforge/phase-runtime/worker';
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

const machine = (isHostile: boolean) =>
  new EvictingMachine<QuietstarConfig>(isHostile, { config: CONFIG, seed: 5n });

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
    const work = (context: PhaseContext<QuietstarConfig>) => new Thinking(context, inputs).run();
    const whole = await machine(false).finish(work);
    const hostile = machine(true);
    expect(await hostile.finish(work)).toEqual(whole);
    // Two steps, three batches of text and two of tasks for each arm, and the run that finds everything done.
    expect(hostile.runs).toBe(2 + 2 * (3 + 2) + 1);
  });
});
