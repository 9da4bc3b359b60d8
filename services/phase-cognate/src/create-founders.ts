import { countParameters, unigramEntropy } from '@agentforge/model';
import {
  MEDIA_TYPES,
  type PhaseContext,
  type PhaseMetricValue,
  type PhaseResult,
} from '@agentforge/phase-runtime/worker';
import { backendInfo, selectDevice } from '@agentforge/tensor';
import type { CognateConfig } from './domain/cognate-config.js';
import { relativeDistance } from './domain/distance.js';
import { type Founded, Founding } from './founding.js';
import { foundingReport } from './founding-report.js';

/** Creates the founding models: the work of the phase, as its worker thread runs it. */
export async function createFounders(context: PhaseContext<CognateConfig>): Promise<PhaseResult> {
  selectDevice(context.device, { threads: context.threads });
  const founded = await new Founding(context).run();
  const { config } = context;
  const { shape } = founded;
  const models = [];
  for (const [name, { files }] of founded.founders) {
    models.push(
      await context.putManifest({ name, type: 'model', mediaType: MEDIA_TYPES.model }, files, {
        architecture: config.architecture,
        preset: config.preset,
        parameters: String(countParameters(shape).total),
        specialisation: name.replace(/^founder-/, ''),
        phase: 'cognate',
      }),
    );
  }
  const metrics = founderMetrics(founded);
  const report = await context.putBlob(
    { name: 'cognate-report', type: 'report', mediaType: MEDIA_TYPES.report },
    foundingReport(context, founded, metrics),
  );
  const { device, isa, threads } = backendInfo();
  return {
    outcome: 'created',
    outputs: [
      { port: 'models', artifacts: models },
      { port: 'report', artifacts: [report] },
    ],
    metrics,
    backend: `${device}-${isa}`,
    threads,
  };
}

function founderMetrics({ founders, data, shape }: Founded): PhaseMetricValue[] {
  const metrics: PhaseMetricValue[] = [];
  const add = (name: string, value: number, unit: string, split = '', subject = '') =>
    metrics.push({ name, value, unit, split, subject });
  add('unigram_entropy', unigramEntropy(data.fitness.tokens), 'nats/token', 'fitness');
  for (const [name, { losses }] of founders) {
    add('parameters', countParameters(shape).total, '1', '', name);
    for (const [split, { lossNats, bitsPerByte, ponderSteps, haltedShare }] of Object.entries(losses)) {
      add('loss', lossNats, 'nats/token', split, name);
      add('perplexity', Math.exp(lossNats), '1', split, name);
      add('bits_per_byte', bitsPerByte, 'bit/byte', split, name);
      if (ponderSteps !== undefined) add('ponder_steps', ponderSteps, '1', split, name);
      if (haltedShare !== undefined) add('halted_share', haltedShare, '1', split, name);
    }
  }
  const names = [...founders.keys()].sort();
  for (const [i, a] of names.entries()) {
    for (const b of names.slice(i + 1)) {
      const [first, second] = [founders.get(a), founders.get(b)];
      if (first && second) {
        add('pairwise_distance', relativeDistance(first.weights, second.weights), '1', '', `${a}|${b}`);
      }
    }
  }
  return metrics;
}
