import { type Corpus, encodeSplit, requireCorpusSize, splitCorpus, trainBpe } from '@agentforge/model';
import type { RunSpec } from '../spec/run-spec.js';

/** Corpora above this size fill any batch; below it, the tokenizer is trained to know for certain. */
const CERTAINLY_ENOUGH_BYTES = 400_000;
/** Used where the specification leaves a value to the phase's defaults. */
const ASSUMED = { vocabulary: 1_024, batchSize: 16, length: 128 };

/**
 * Refuses a corpus whose parts cannot fill one batch, before anything is started.
 * @throws CorpusTooSmallError INVALID_ARGUMENT: every part that is too small, with its tokens and bytes
 */
export function requireDemoSize(corpus: Corpus, spec: RunSpec): void {
  if (corpus.sizeBytes >= CERTAINLY_ENOUGH_BYTES) return;
  const config = spec.steps.find(({ phase }) => phase === 'cognate')?.config ?? {};
  const number = (key: string, otherwise: number) => {
    const value = config[key];
    return typeof value === 'number' ? value : otherwise;
  };
  const splits = splitCorpus(corpus);
  const tokenizer = trainBpe(splits.train.documents, { vocabSize: number('vocab_size', ASSUMED.vocabulary) });
  requireCorpusSize(
    {
      train: encodeSplit(tokenizer, splits.train),
      fitness: encodeSplit(tokenizer, splits.fitness),
      report: encodeSplit(tokenizer, splits.report),
    },
    number('batch_size', ASSUMED.batchSize),
    number('sequence_length', ASSUMED.length),
  );
}
