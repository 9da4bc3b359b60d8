import {
  type BatchSource,
  type CorpusSplits,
  encodeSplit,
  requireCorpusSize,
  type Tokenizer,
  type TokenStream,
} from '@agentforge/model';
import type { Philox } from '@agentforge/tensor';
import { type CognateConfig, shareBesidesCorpus } from './cognate-config.js';
import type { FounderPlan } from './founder-plan.js';
import { GENERATOR_NAMES, GENERATORS, type GeneratorName } from './generators/generators.js';
import { RowSchedule } from './row-schedule.js';

/** Token streams of a run. */
export interface FoundingData {
  readonly train: TokenStream;
  readonly fitness: TokenStream;
  readonly report: TokenStream;
  /** Generated text with exact answers, of the kinds that any model wants. */
  readonly generated: ReadonlyMap<GeneratorName, TokenStream>;
}

/**
 * Encodes the splits.
 * @throws CorpusTooSmallError  INVALID_ARGUMENT: a split cannot fill a batch
 */
export function encodeData(
  splits: CorpusSplits,
  tokenizer: Tokenizer,
  config: CognateConfig,
  founders: readonly FounderPlan[],
  rng: Philox,
): FoundingData {
  const train = encodeSplit(tokenizer, splits.train);
  const fitness = encodeSplit(tokenizer, splits.fitness);
  const report = encodeSplit(tokenizer, splits.report);
  requireCorpusSize({ train, fitness, report }, config.batch_size, config.sequence_length);
  const generated = new Map<GeneratorName, TokenStream>();
  for (const name of GENERATOR_NAMES) {
    if (founders.every(({ specialisation }) => specialisation[name] === 0)) continue;
    generated.set(name, encodeSplit(tokenizer, { documents: [GENERATORS[name](rng.stream(name))] }));
  }
  return { train, fitness, report, generated };
}

/** Batches of the steps that all models share: the plain corpus. */
export function sharedRows(data: FoundingData, config: CognateConfig, rng: Philox): RowSchedule {
  return new RowSchedule({
    sources: [{ name: 'corpus', stream: data.train }],
    batchSize: config.batch_size,
    length: config.sequence_length,
    curriculum: config.curriculum,
    seed: rng.stream('batches/shared'),
  });
}

/** Batches of one model: its own mix, in its own order. */
export function founderRows(
  data: FoundingData,
  founder: FounderPlan,
  config: CognateConfig,
  rng: Philox,
): RowSchedule {
  return new RowSchedule({
    sources: sourcesOf(data, founder),
    batchSize: founder.batchSize,
    length: founder.sequenceLength,
    curriculum: config.curriculum,
    seed: rng.stream(`batches/${founder.name}`),
  });
}

function sourcesOf(data: FoundingData, { specialisation }: FounderPlan): BatchSource[] {
  const { region } = specialisation;
  const rest = 1 - shareBesidesCorpus(specialisation);
  const sources: BatchSource[] = [{ name: 'corpus', stream: data.train, weight: rest }];
  if (region && region.share > 0) {
    const { tokens, bytesOfId } = data.train;
    const part = tokens.subarray(
      Math.floor(region.from * tokens.length),
      Math.floor(region.to * tokens.length),
    );
    sources.push({ name: 'region', stream: { tokens: part, bytesOfId }, weight: region.share });
  }
  for (const [name, stream] of data.generated) {
    if (specialisation[name] > 0) sources.push({ name, stream, weight: specialisation[name] });
  }
  return sources;
}
