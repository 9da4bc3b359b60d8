import {
  corpusFromBytes,
  type DisjointSplits,
  encodeSplit,
  loadTokenizer,
  loadWeights,
  type ModelConfig,
  memorySource,
  requireCorpusSize,
  splitDisjoint,
  TOKENIZER_FILE,
  type Tokenizer,
  type TokenStream,
} from '@agentforge/model';
import type { InputArtifact, SubtaskContext } from '@agentforge/phase-runtime/worker';
import { distinctNames, requireCompatible } from './domain/compatibility.js';
import { SequenceTooLongError } from './domain/evomerge.errors.js';
import type { EvomergeConfig } from './domain/evomerge-config.js';
import type { Weights } from './domain/layout.js';
import type { SourceId } from './domain/recipe.js';

/** A parent: one of the models to merge. */
export interface Parent {
  readonly id: SourceId;
  /** Distinct among the parents. */
  readonly name: string;
  readonly artifact: InputArtifact;
  readonly weights: Weights;
}

/** What reading needs: the step's own context, or that of one who helps. */
type ReadContext = Pick<SubtaskContext<EvomergeConfig>, 'config' | 'inputs' | 'progress' | 'throwIfAborted'>;

/** Everything the phase reads. */
export interface MergeInputs {
  readonly parents: readonly Parent[];
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly corpus: DisjointSplits;
  readonly fitness: TokenStream;
  readonly report: TokenStream;
}

/**
 * Reads models and corpus. The train split is never looked at.
 * @throws IncompatibleModelsError  INVALID_ARGUMENT: every difference between the models
 * @throws CorpusTooSmallError      INVALID_ARGUMENT: nothing to measure on
 */
export async function readInputs(context: ReadContext): Promise<MergeInputs> {
  context.progress(0, 'reading the models');
  const artifacts = context.inputs('models');
  const names = distinctNames(artifacts.map(({ name }) => name));
  const loaded = [];
  for (const [i, artifact] of artifacts.entries()) {
    context.throwIfAborted();
    loaded.push({ name: names[i] as string, artifact, ...(await readModel(artifact)) });
  }
  requireCompatible(loaded);
  const [{ config, files }] = loaded as [(typeof loaded)[number]];
  const { sequence_length } = context.config;
  if (sequence_length > config.contextLength) {
    throw new SequenceTooLongError(sequence_length, config.contextLength);
  }
  const tokenizer = await loadTokenizer(memorySource(files));
  const corpus = await readCorpus(context);
  const fitness = encodeSplit(tokenizer, corpus.splits.fitness);
  const report = encodeSplit(tokenizer, corpus.splits.report);
  requireCorpusSize({ fitness, report }, 1, sequence_length);
  const parents = loaded.map(({ name, artifact, weights }, i) => ({ id: `p${i}`, name, artifact, weights }));
  return { parents, config, tokenizer, corpus, fitness, report };
}

async function readModel(artifact: InputArtifact) {
  const files = new Map<string, Uint8Array>();
  for (const { path } of (await artifact.manifest()).files) files.set(path, await artifact.file(path));
  const { config, weights } = await loadWeights(memorySource(files));
  return { files, config, weights, tokenizer: files.get(TOKENIZER_FILE) ?? new Uint8Array() };
}

async function readCorpus(context: ReadContext): Promise<DisjointSplits> {
  const files = await Promise.all(
    context.inputs('corpus').map(async ({ ref, bytes }, i) => {
      const extension = ref.mediaType.includes('jsonl') ? 'jsonl' : 'txt';
      return { name: `corpus-${i}.${extension}`, bytes: await bytes() };
    }),
  );
  return splitDisjoint(corpusFromBytes(files, { checkCancelled: () => context.throwIfAborted() }));
}
