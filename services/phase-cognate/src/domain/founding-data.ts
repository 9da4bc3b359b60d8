import {
  BatchCursor,
  type BatchSource,
  type CorpusSplits,
  encodeSplit,
  requireCorpusSize,
  type Tokenizer,
  type TokenStream,
} from '@agentforge/model';
import type { Philox } from '@agentforge/tensor';
import { arithmeticText } from './arithmetic.js';
import type { CognateConfig } from './cognate-config.js';
import type { FounderPlan } from './founder-plan.js';

/** Generated problems: about 12 bytes each, so that a default run sees each at most a few times. */
const ARITHMETIC_LINES = 20_000;

/** Token streams of a run. */
export interface FoundingData {
  readonly train: TokenStream;
  readonly fitness: TokenStream;
  readonly report: TokenStream;
  /** Generated problems; null when no model wants any. */
  readonly arithmetic: TokenStream | null;
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
  const wanted = founders.some(({ specialisation }) => specialisation.arithmetic > 0);
  const documents = wanted ? [arithmeticText(ARITHMETIC_LINES, rng.stream('arithmetic'))] : [];
  return { train, fitness, report, arithmetic: wanted ? encodeSplit(tokenizer, { documents }) : null };
}

/** Batches of the steps that all models share: the plain corpus. */
export function sharedCursor(data: FoundingData, config: CognateConfig, rng: Philox): BatchCursor {
  return new BatchCursor([{ name: 'corpus', stream: data.train }], {
    batchSize: config.batch_size,
    length: config.sequence_length,
    seed: rng.stream('batches/shared'),
  });
}

/** Batches of one model: its own mix, in its own order. */
export function founderCursor(data: FoundingData, founder: FounderPlan, rng: Philox): BatchCursor {
  return new BatchCursor(sourcesOf(data, founder), {
    batchSize: founder.batchSize,
    length: founder.sequenceLength,
    seed: rng.stream(`batches/${founder.name}`),
  });
}

function sourcesOf(data: FoundingData, { specialisation }: FounderPlan): BatchSource[] {
  const { arithmetic, region } = specialisation;
  const rest = 1 - arithmetic - (region?.share ?? 0);
  const sources: BatchSource[] = [{ name: 'corpus', stream: data.train, weight: rest }];
  if (region && region.share > 0) {
    const { tokens, bytesOfId } = data.train;
    const part = tokens.subarray(
      Math.floor(region.from * tokens.length),
      Math.floor(region.to * tokens.length),
    );
    sources.push({ name: 'region', stream: { tokens: part, bytesOfId }, weight: region.share });
  }
  if (data.arithmetic && arithmetic > 0) {
    sources.push({ name: 'arithmetic', stream: data.arithmetic, weight: arithmetic });
  }
  return sources;
}
