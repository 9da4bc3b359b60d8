import type { Corpus } from './corpus.js';
import { ngramOverlap, OVERLAP_NGRAM, removeOverlap } from './overlap.js';
import { type CorpusSplits, splitCorpus } from './split.js';

/** Splits that share no long passage, with what had to be taken out for that. */
export interface DisjointSplits {
  readonly splits: CorpusSplits;
  /** Bytes taken out of fitness and report because they repeat an earlier split. */
  readonly removedBytes: number;
  /** Larger share of 13-grams of fitness and report that occur in the train split; 0 after the removal. */
  readonly overlap: number;
}

/**
 * Cuts a corpus, and takes out of the held-out splits every paragraph that repeats an earlier split: fitness is
 * checked against train, report against both. Every phase that reads a corpus cuts it with this function, so that what
 * one phase trained on is never what another one reports on.
 */
export function splitDisjoint(corpus: Corpus): DisjointSplits {
  const { train, fitness, report } = splitCorpus(corpus);
  const cleanFitness = removeOverlap(fitness, train);
  const againstTrain = removeOverlap(report, train);
  const cleanReport = removeOverlap(againstTrain.split, fitness);
  return {
    splits: { train, fitness: cleanFitness.split, report: cleanReport.split },
    removedBytes: cleanFitness.removedBytes + againstTrain.removedBytes + cleanReport.removedBytes,
    overlap: Math.max(
      ngramOverlap(train, cleanFitness.split, OVERLAP_NGRAM).fraction,
      ngramOverlap(train, cleanReport.split, OVERLAP_NGRAM).fraction,
    ),
  };
}
