import { definePhase } from '@agentforge/phase-runtime';
import { checkCognateConfig, cognateConfig, estimateCognate } from './domain/cognate-config.js';

/** What the phase is: its name, ports, configuration and metrics, and the module that computes it. */
export const cognatePhase = definePhase({
  name: 'cognate',
  version: '1.0.0',
  summary: 'Creates the founding models: specialists that share one initialisation and tokenizer.',
  inputs: [
    {
      name: 'corpus',
      artifactType: 'corpus',
      minCount: 1,
      maxCount: 1,
      summary: 'Text; the first 80 % are learnt, the rest is held out.',
    },
    {
      name: 'base_models',
      artifactType: 'model',
      minCount: 0,
      maxCount: 1,
      summary:
        'A model to start from instead of random weights, with its tokenizer; its shape is that of the configuration.',
    },
  ],
  outputs: [
    { name: 'models', artifactType: 'model', minCount: 1, maxCount: 8, summary: 'The founding models.' },
    {
      name: 'report',
      artifactType: 'report',
      minCount: 1,
      maxCount: 1,
      summary: 'Losses, curves, distances, and what was measured on which data.',
    },
  ],
  config: cognateConfig,
  checkConfig: checkCognateConfig,
  metrics: [
    {
      name: 'loss',
      unit: 'nats/token',
      summary: 'Mean negative log-likelihood per token, by model and split.',
    },
    { name: 'perplexity', unit: '1', summary: 'exp(loss).' },
    {
      name: 'bits_per_byte',
      unit: 'bit/byte',
      summary: 'Loss per byte of text: independent of the vocabulary.',
    },
    {
      name: 'ponder_steps',
      unit: '1',
      summary: 'Supervision steps per position until it halted, with recursion.',
    },
    { name: 'halted_share', unit: '1', summary: 'Share of positions that halted, with recursion.' },
    { name: 'unigram_entropy', unit: 'nats/token', summary: 'Loss of the best model without context.' },
    { name: 'parameters', unit: '1', summary: 'Parameters of a model.' },
    { name: 'pairwise_distance', unit: '1', summary: 'Relative Euclidean distance of two models.' },
  ],
  estimate: estimateCognate,
  startToCloseMs: 24 * 3_600_000,
  workerUrl: new URL('../dist/cognate.worker.js', import.meta.url),
});
