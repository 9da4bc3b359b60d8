import type { FieldViolation } from '@agentforge/errors';
import {
  corpusFromBytes,
  type DisjointSplits,
  encodeSplit,
  type ModelConfig,
  memorySource,
  parseTasks,
  readModelParts,
  requireCorpusSize,
  type ScoredRow,
  splitDisjoint,
  type Tokenizer,
  type TokenStream,
  taskText,
  unknownTasks,
  unthinkable,
} from '@agentforge/model';
import type { InputArtifact, PhaseContext } from '@agentforge/phase-runtime/worker';
import { ThoughtsTooLongError, UnfitModelError } from './domain/quietstar.errors.js';
import { positionsOf, type QuietstarConfig } from './domain/quietstar-config.js';
import { taskRows } from './domain/scored-rows.js';
import type { ThinkerWeights } from './domain/thinker.js';

/** Everything the phase reads. */
export interface ThinkingInputs {
  readonly artifact: InputArtifact;
  readonly config: ModelConfig;
  readonly weights: ThinkerWeights;
  /** Files of the input model, by path. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly tokenizer: Tokenizer;
  readonly corpus: DisjointSplits;
  readonly train: TokenStream;
  readonly fitness: TokenStream;
  readonly report: TokenStream;
  /** Rows of the tasks; null when there are none. */
  readonly tasks: readonly ScoredRow[] | null;
  /** Tasks left out because the corpus gives them away. */
  readonly knownTasks: number;
  /** Digests of all inputs: a checkpoint of others is not gone on from. */
  readonly identity: readonly string[];
}

/**
 * Reads model, corpus and tasks. Everything that rules the model out is told before the corpus is encoded.
 * @throws UnfitModelError       INVALID_ARGUMENT: files that are wrong, a kind of model that thoughts cannot do with; every reason
 * @throws ThoughtsTooLongError  INVALID_ARGUMENT: rows with their thoughts exceed the model's positions
 * @throws CorpusTooSmallError   INVALID_ARGUMENT: a split cannot fill a row
 * @throws InvalidTaskFileError, TasksKnownError  INVALID_ARGUMENT: tasks that cannot judge
 */
export async function readInputs(context: PhaseContext<QuietstarConfig>): Promise<ThinkingInputs> {
  context.progress(0, 'reading model and corpus');
  const [artifact] = context.inputs('model') as [InputArtifact];
  const files = new Map<string, Uint8Array>();
  for (const { path } of (await artifact.manifest()).files) {
    context.throwIfAborted();
    files.set(path, await artifact.file(path));
  }
  const { config, weights, tokenizer, violations } = await readModelParts(memorySource(files));
  if (violations.length > 0 || !config || !weights || !tokenizer)
    throw new UnfitModelError([
      ...violations.map(({ field, description }) => ({ field: `inputs.model[0]/${field}`, description })),
      ...(config ? [...kindViolations(config), ...lengthViolations(context.config, config, null)] : []),
    ]);
  const corpus = await readCorpus(context);
  const { tasks, knownTasks } = await readTasks(context, tokenizer, corpus);
  requireFit(context.config, config, tasks);
  const { batch_size, sequence_length } = context.config;
  const [train, fitness, report] = (['train', 'fitness', 'report'] as const).map((name) =>
    encodeSplit(tokenizer, corpus.splits[name]),
  ) as [TokenStream, TokenStream, TokenStream];
  requireCorpusSize({ train, fitness, report }, batch_size, sequence_length);
  const identity = ['model', 'corpus', 'tasks'].flatMap((port) =>
    context.inputs(port).map(({ ref }) => ref.digest),
  );
  return {
    artifact,
    config,
    weights,
    files,
    tokenizer,
    corpus,
    train,
    fitness,
    report,
    tasks,
    knownTasks,
    identity,
  };
}

async function readCorpus(context: PhaseContext<QuietstarConfig>): Promise<DisjointSplits> {
  const files = await Promise.all(
    context.inputs('corpus').map(async ({ ref, bytes }, i) => {
      const extension = ref.mediaType.includes('jsonl') ? 'jsonl' : 'txt';
      return { name: `corpus-${i}.${extension}`, bytes: await bytes() };
    }),
  );
  return splitDisjoint(corpusFromBytes(files, { checkCancelled: () => context.throwIfAborted() }));
}

async function readTasks(
  context: PhaseContext<QuietstarConfig>,
  tokenizer: Tokenizer,
  { splits }: DisjointSplits,
): Promise<{ tasks: ScoredRow[] | null; knownTasks: number }> {
  const [artifact] = context.inputs('tasks');
  if (!artifact) return { tasks: null, knownTasks: 0 };
  const tasks = parseTasks(new TextDecoder().decode(await artifact.bytes()), artifact.name);
  const unknown = unknownTasks(tasks, splits.train.documents);
  return { tasks: taskRows(unknown.map(taskText), tokenizer), knownTasks: tasks.length - unknown.length };
}

function requireFit(
  settings: QuietstarConfig,
  config: ModelConfig,
  tasks: readonly ScoredRow[] | null,
): void {
  const ofKind = kindViolations(config);
  const tooLong = lengthViolations(settings, config, tasks);
  if (ofKind.length > 0) throw new UnfitModelError([...ofKind, ...tooLong]);
  if (tooLong.length > 0) throw new ThoughtsTooLongError(tooLong);
}

/** What the model has that thoughts cannot do with. */
function kindViolations(config: ModelConfig): FieldViolation[] {
  return unthinkable(config).map((one) => ({ ...one, field: `inputs.model[0].config.${one.field}` }));
}

/** Rows that are longer with their thoughts than the model has positions for. */
function lengthViolations(
  settings: QuietstarConfig,
  { contextLength }: ModelConfig,
  tasks: readonly ScoredRow[] | null,
): FieldViolation[] {
  const lengths: [field: string, tokens: number][] = [['config.sequence_length', settings.sequence_length]];
  if (tasks) lengths.push(['inputs.tasks', tasks[0]?.inputs.length ?? 0]);
  return lengths
    .map(([field, tokens]) => ({ field, tokens, needed: positionsOf(tokens, settings) }))
    .filter(({ needed }) => needed > contextLength)
    .map(({ field, tokens, needed }) => ({
      field,
      description: `has rows of ${tokens} tokens, which take ${needed} positions with their thoughts; the model has ${contextLength}`,
    }));
}
