import { definePhase } from '@agentforge/phase-runtime';
import { checkEvomergeConfig, estimateEvomerge, evomergeConfig } from './domain/evomerge-config.js';

/** What the phase is: its name, ports, configuration and metrics, and the module that computes it. */
export const evomergePhase = definePhase({
  name: 'evomerge',
  version: '1.2.0',
  summary: 'Evolves a merge of models that have one ancestor.',
  inputs: [
    {
      name: 'models',
      artifactType: 'model',
      minCount: 2,
      maxCount: 16,
      summary: 'The parents: one architecture, one tokenizer, one initialisation.',
    },
    {
      name: 'corpus',
      artifactType: 'corpus',
      minCount: 1,
      maxCount: 1,
      summary: 'The text the parents learnt from; only its held-out parts are read.',
    },
    {
      name: 'tasks',
      artifactType: 'tasks',
      minCount: 0,
      maxCount: 1,
      summary:
        'Questions with answers as JSON lines: what candidates solve of them is part of their fitness.',
    },
  ],
  outputs: [
    {
      name: 'model',
      artifactType: 'model',
      minCount: 1,
      maxCount: 1,
      summary: 'The best merge, or the best parent when nothing beats it.',
    },
    {
      name: 'report',
      artifactType: 'report',
      minCount: 1,
      maxCount: 1,
      summary: 'Losses of best, parents and average, the search, and the lineage of every individual.',
    },
    {
      name: 'recipe',
      artifactType: 'recipe',
      minCount: 1,
      maxCount: 1,
      summary: 'The best merge as YAML for "forge merge": it makes the same weights from the parents.',
    },
    {
      name: 'tree',
      artifactType: 'figure',
      minCount: 0,
      maxCount: 1,
      summary:
        'The evolution tree as SVG: everyone by generation and fitness, with their parents; none for the fallback.',
    },
  ],
  config: evomergeConfig,
  checkConfig: checkEvomergeConfig,
  metrics: [
    {
      name: 'loss',
      unit: 'nats/token',
      summary: 'Mean negative log-likelihood per token, by subject and split.',
    },
    { name: 'perplexity', unit: '1', summary: 'exp(loss).' },
    {
      name: 'bits_per_byte',
      unit: 'bit/byte',
      summary: 'Loss per byte of text: independent of the vocabulary.',
    },
    {
      name: 'task_accuracy',
      unit: '1',
      summary: 'Share of the tasks that are solved, by subject; candidates are selected by it.',
    },
    { name: 'parameters', unit: '1', summary: 'Parameters of the model that is handed on.' },
    { name: 'fitness', unit: '1', summary: 'Fitness of the best individual; the best parent has 1.' },
    { name: 'generations', unit: '1', summary: 'Generations after the first.' },
    { name: 'individuals', unit: '1', summary: 'Individuals that were born.' },
    {
      name: 'evaluations_reused',
      unit: '1',
      summary: 'Individuals whose genome was measured before, in this search.',
    },
    {
      name: 'stopped_early',
      unit: '1',
      summary: 'Individuals that were not measured to the end because they are hopeless.',
    },
    {
      name: 'fitness_tokens_saved',
      unit: '1',
      summary: 'Share of the tokens of all evaluations that were not looked at for that.',
    },
    { name: 'diversity', unit: '1', summary: 'Spread of the last generation relative to the parents.' },
    {
      name: 'pareto_front',
      unit: '1',
      summary: 'nsga2: individuals that nobody is better than in every objective.',
    },
  ],
  estimate: estimateEvomerge,
  fallback: 'uniform-average',
  startToCloseMs: 24 * 3_600_000,
  workerUrl: new URL('../dist/evomerge.worker.js', import.meta.url),
});
