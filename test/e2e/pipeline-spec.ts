import type { StepSpecSchema } from '@agentforge/contracts';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { LocalSystem } from './local-system.js';
import { realText } from './real-text.js';

/** A step as a request carries it. */
export type StepInit = MessageInitShape<typeof StepSpecSchema>;

/** Cognate, EvoMerge, Quiet-STaR, with models small enough for a test: about 100,000 parameters, some seconds of training. */
export async function smallPipeline(
  system: LocalSystem,
  seed = 7n,
): Promise<{ seed: bigint; steps: [found: StepInit, evolve: StepInit, think: StepInit] }> {
  const corpus = await system.uploadCorpus(realText());
  return {
    seed,
    steps: [
      {
        id: 'found',
        phase: 'cognate',
        config: {
          vocab_size: 320,
          context_length: 64,
          sequence_length: 64,
          specialisations: [
            { name: 'reasoning', arithmetic: 0.05 },
            { name: 'memory' },
            { name: 'speed', sequence_length: 32 },
          ],
          batch_size: 8,
          steps: 80,
          shared_steps: 40,
          eval_interval: 20,
          eval_tokens: 512,
          checkpoint_interval_s: 1,
        },
        inputs: [{ port: 'corpus', source: { case: 'artifacts', value: { refs: [corpus] } } }],
      },
      {
        id: 'evolve',
        phase: 'evomerge',
        config: {
          generations: 8,
          plateau_generations: 8,
          sequence_length: 64,
          fitness_tokens: 2048,
          checkpoint_interval_s: 1,
        },
        inputs: [
          { port: 'models', source: { case: 'stepOutput', value: { stepId: 'found', output: 'models' } } },
          { port: 'corpus', source: { case: 'artifacts', value: { refs: [corpus] } } },
        ],
      },
      {
        id: 'think',
        phase: 'quietstar',
        config: {
          thought_length: 2,
          first_thought_length: 1,
          ahead: 2,
          steps: 8,
          batch_size: 2,
          sequence_length: 32,
          warmup_steps: 2,
          eval_interval: 4,
          eval_tokens: 128,
          report_tokens: 512,
          bootstrap: 200,
          checkpoint_interval_s: 1,
        },
        inputs: [
          { port: 'model', source: { case: 'stepOutput', value: { stepId: 'evolve', output: 'model' } } },
          { port: 'corpus', source: { case: 'artifacts', value: { refs: [corpus] } } },
        ],
      },
    ],
  };
}
