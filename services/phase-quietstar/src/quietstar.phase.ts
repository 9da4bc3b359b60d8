import { definePhase } from '@agentforge/phase-runtime';
import { checkQuietstarConfig, estimateQuietstar, quietstarConfig } from './domain/quietstar-config.js';

/** What the phase is: its name, ports, configuration and metrics, and the module that computes it. */
export const quietstarPhase = definePhase({
  name: 'quietstar',
  version: '1.0.0',
  summary:
    'Teaches a model to think before it speaks, and proves that the thoughts help, or hands it on unchanged.',
  inputs: [
    {
      name: 'model',
      artifactType: 'model',
      minCount: 1,
      maxCount: 1,
      summary: 'The model that is to think.',
    },
    {
      name: 'corpus',
      artifactType: 'corpus',
      minCount: 1,
      maxCount: 1,
      summary: 'Text to think about; its report split judges, unless there are tasks.',
    },
    {
      name: 'tasks',
      artifactType: 'tasks',
      minCount: 0,
      maxCount: 1,
      summary:
        'Questions with answers as JSON lines, never trained on; they judge instead of the report split.',
    },
  ],
  outputs: [
    {
      name: 'model',
      artifactType: 'model',
      minCount: 1,
      maxCount: 1,
      summary: 'The thinking model, or the input model, unchanged, when thoughts gain nothing.',
    },
    {
      name: 'report',
      artifactType: 'report',
      minCount: 1,
      maxCount: 1,
      summary: 'Losses with thoughts, with pauses and with neither, the three tests, and the curves.',
    },
  ],
  config: quietstarConfig,
  checkConfig: checkQuietstarConfig,
  metrics: [
    {
      name: 'loss',
      unit: 'nats/token',
      summary: 'Mean negative log-likelihood per token of text, by subject.',
    },
    {
      name: 'bits_per_byte',
      unit: 'bit/byte',
      summary: 'Loss per byte of text: independent of the vocabulary.',
    },
    { name: 'accuracy', unit: '1', summary: 'Share of tokens of text that are the likeliest ones.' },
    { name: 'answer_loss', unit: 'nats/token', summary: 'Loss on the answers of the tasks, by subject.' },
    { name: 'task_accuracy', unit: '1', summary: 'Share of tasks whose whole answer greedy decoding gives.' },
    {
      name: 'gain',
      unit: 'nats/token',
      summary: 'Log-probability of the judged tokens with thoughts, less that with as many pauses.',
    },
    { name: 'gain_low', unit: 'nats/token', summary: 'Lower end of the bootstrap interval of the gain.' },
    { name: 'gain_high', unit: 'nats/token', summary: 'Upper end of it.' },
    {
      name: 'ablation',
      unit: '1',
      summary: 'Accuracy that the thinking model loses when its thoughts are removed.',
    },
    {
      name: 'coherence_correlation',
      unit: '1',
      summary: 'Correlation of how sure the model is of a thought and how much the thought helps.',
    },
    { name: 'parameters', unit: '1', summary: 'Parameters of the model that is handed on.' },
  ],
  estimate: estimateQuietstar,
  fallback: 'unchanged-model',
  startToCloseMs: 24 * 3_600_000,
  workerUrl: new URL('../dist/quietstar.worker.js', import.meta.url),
});
