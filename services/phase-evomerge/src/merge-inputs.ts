import {
  corpusFromBytes,
  type DisjointSplits,
  encodeSplit,
  loadTokenizer,
  loadWeights,
  type ModelConfig,
  memorySource,
  oversizedTasks,
  parseTasks,
  requireCorpusSize,
  splitDisjoint,
  type Task,
  TOKENIZER_FILE,
  type Tokenizer,
  type TokenStream,
  unknownTasks,
} from '@agentforge/model';
import type { InputArtifact, SubtaskContext } from '@agentforge/phase-runtime/worker';
import { distinctNames, requireCompatible } from './domain/compatibility.js';
import { SequenceTooLongError, TasksTooLongError } from './domain/evomerge.errors.js';
import type { EvomergeConfig } from './domain/evomerge-config.js';
import type { Weights } from './domain/layout.js';
import type { SourceId } from './domain/recipe.js';
import { Refusals } from './domain/refusals.js';

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
  /** Tasks that individuals are measured on; null when there are none. */
  readonly tasks: readonly Task[] | null;
  /** Tasks left out because the train split of the corpus gives them away. */
  readonly knownTasks: number;
}

/** A rule about models that depends on what is done with them. */
export type ModelRule = (config: ModelConfig, models: number) => void;

/**
 * Reads models, corpus and tasks. The train split is looked at for nothing but answers of tasks.
 * @param rule  what else has to hold
 * @throws AppError  INVALID_ARGUMENT: every reason at once why a merge of these cannot be searched
 */
export async function readInputs(context: ReadContext, rule?: ModelRule): Promise<MergeInputs> {
  context.progress(0, 'reading the models');
  const artifacts = context.inputs('models');
  const names = distinctNames(artifacts.map(({ name }) => name));
  const loaded: ({ name: string; artifact: InputArtifact } & Awaited<ReturnType<typeof readModel>>)[] = [];
  for (const [i, artifact] of artifacts.entries()) {
    context.throwIfAborted();
    loaded.push({ name: names[i] as string, artifact, ...(await readModel(artifact)) });
  }
  const [{ config, files }] = loaded as [(typeof loaded)[number]];
  const { sequence_length } = context.config;
  const refusals = new Refusals();
  refusals.check(() => requireCompatible(loaded));
  refusals.check(() => requirePositions(sequence_length, loaded));
  refusals.check(() => rule?.(config, loaded.length));
  const tokenizer = await loadTokenizer(memorySource(files));
  const corpus = await readCorpus(context);
  const fitness = encodeSplit(tokenizer, corpus.splits.fitness);
  const report = encodeSplit(tokenizer, corpus.splits.report);
  refusals.check(() => requireCorpusSize({ fitness, report }, 1, sequence_length));
  const file = await readTasks(context);
  const tasks = refusals.check(() => usableTasks(context, file, { config, tokenizer, corpus }));
  refusals.throwIfAny();
  const parents = loaded.map(({ name, artifact, weights }, i) => ({ id: `p${i}`, name, artifact, weights }));
  return { parents, config, tokenizer, corpus, fitness, report, ...(tasks ?? NO_TASKS) };
}

function requirePositions(length: number, models: readonly { readonly config: ModelConfig }[]): void {
  const positions = Math.min(...models.map(({ config }) => config.contextLength));
  if (length > positions) throw new SequenceTooLongError(length, positions);
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

const NO_TASKS = { tasks: null, knownTasks: 0 };

async function readTasks(context: ReadContext): Promise<{ name: string; text: string } | undefined> {
  const [artifact] = context.inputs('tasks');
  return artifact && { name: artifact.name, text: new TextDecoder().decode(await artifact.bytes()) };
}

/** The first tasks of a file that the corpus does not give away. */
function usableTasks(
  context: ReadContext,
  file: { readonly name: string; readonly text: string } | undefined,
  { config, tokenizer, corpus }: Pick<MergeInputs, 'config' | 'tokenizer' | 'corpus'>,
): Pick<MergeInputs, 'tasks' | 'knownTasks'> {
  if (!file) return NO_TASKS;
  const all = parseTasks(file.text, file.name);
  const unknown = unknownTasks(all, corpus.splits.train.documents);
  const tasks = unknown.slice(0, context.config.fitness_tasks);
  const tooLong = oversizedTasks(config, tokenizer, tasks);
  if (tooLong.length > 0) throw new TasksTooLongError(tooLong);
  return { tasks, knownTasks: all.length - unknown.length };
}
