import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CONFIG_FILE } from '@agentforge/model';
import { type Checkpoint, openModelFolder } from '../checkpoint/checkpoint.js';
import { OutputExistsError } from '../merging.errors.js';
import { type MergePlan, sizeBytesOf } from '../plan/plan.js';
import { modelCard } from './model-card.js';
import { tokenizerFiles } from './tokenizer-files.js';
import { type MergeHooks, type MergeProgress, writeWeights } from './write-weights.js';

/** Name under which mergekit and others look for the recipe of a model. */
const RECIPE_FILE = 'mergekit_config.yml';

/** Folder of results that only later merges use, while they are needed. */
const STAGES = '.stages';

/** Most bytes of tensors per file, unless one says otherwise: what mergekit takes. */
export const DEFAULT_SHARD_BYTES = 5_000_000_000;

/** How a merge is written. */
export interface MergeOutput {
  /** Most bytes of tensors per file; one tensor that is larger has a file of its own. Default {@link DEFAULT_SHARD_BYTES}. */
  readonly maxShardBytes?: number | undefined;
}

/** What a merge made. */
export interface MergeReport {
  readonly method: string;
  readonly tensors: number;
  readonly layers: number;
  /** Of the weights. */
  readonly bytes: number;
  readonly seconds: number;
  /** Most memory that this process ever had, resident. */
  readonly peakBytes: number;
}

/** Refuses a folder that something is in. @throws OutputExistsError INVALID_ARGUMENT */
export async function requireFreeFolder(folder: string): Promise<void> {
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR') throw new OutputExistsError(folder);
    throw error;
  });
  if (found.length > 0) throw new OutputExistsError(folder);
}

/**
 * Makes the merges of a recipe file and writes the last one into a folder, in Hugging Face's layout. The folder appears
 * complete or not at all.
 * @param plans   as `prepareMerge` gives them
 * @param recipe  text of the recipe, for the model card
 * @throws OutputExistsError  INVALID_ARGUMENT: the folder is not empty
 */
export async function runMerge(
  plans: readonly MergePlan[],
  recipe: string,
  out: string,
  { maxShardBytes = DEFAULT_SHARD_BYTES, ...hooks }: MergeHooks & MergeOutput = {},
): Promise<MergeReport> {
  await requireFreeFolder(out);
  const start = performance.now();
  const draft = `${out}.${randomUUID()}.tmp`;
  const last = plans.at(-1) as MergePlan;
  const total = plans.reduce((sum, { tensors }) => sum + tensors.length, 0);
  try {
    await mkdir(draft, { recursive: true });
    const made = new Map<string, Checkpoint>();
    let before = 0;
    for (const plan of plans) {
      const { name } = plan.recipe;
      const folder = plan === last ? draft : join(draft, STAGES, String(made.size));
      const shown = before;
      const onProgress = (progress: MergeProgress) =>
        hooks.onProgress?.({ ...progress, done: shown + progress.done, total });
      await writeModel(withMade(plan, made), folder, maxShardBytes, { ...hooks, onProgress });
      before += plan.tensors.length;
      if (plan !== last && name !== undefined) made.set(name, await openStage(name, folder));
    }
    await rm(join(draft, STAGES), { recursive: true, force: true });
    await writeFile(join(draft, 'README.md'), modelCard(basename(out), plans, recipe));
    await writeFile(join(draft, RECIPE_FILE), recipe);
    hooks.signal?.throwIfAborted();
    await rename(draft, out);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return {
    method: last.recipe.method.name,
    tensors: last.tensors.length,
    layers: last.layers,
    bytes: sizeBytesOf(last),
    seconds: (performance.now() - start) / 1000,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}

async function writeModel(
  plan: MergePlan,
  folder: string,
  maxShardBytes: number,
  hooks: MergeHooks,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const models = new Set(plan.tensors.flatMap(({ sources }) => sources.map(({ checkpoint }) => checkpoint)));
  for (const [name, bytes] of await tokenizerFiles(plan, [...models]))
    await writeFile(join(folder, name), bytes);
  await writeFile(join(folder, CONFIG_FILE), `${JSON.stringify(plan.config, null, 2)}\n`);
  await writeWeights(plan, folder, maxShardBytes, hooks);
}

async function openStage(name: string, folder: string): Promise<Checkpoint> {
  const opened = await openModelFolder(folder, folder);
  if (typeof opened === 'string') throw new TypeError(opened);
  return { ...opened, reference: name };
}

/** A plan that reads from the merges that were made for it. */
function withMade(plan: MergePlan, made: ReadonlyMap<string, Checkpoint>): MergePlan {
  const real = (checkpoint: Checkpoint) =>
    checkpoint.folder === '' ? (made.get(checkpoint.reference) ?? checkpoint) : checkpoint;
  return {
    ...plan,
    donor: real(plan.donor),
    vocabulary: { ...plan.vocabulary, donor: real(plan.vocabulary.donor) },
    tensors: plan.tensors.map((tensor) => ({
      ...tensor,
      sources: tensor.sources.map((source) => ({ ...source, checkpoint: real(source.checkpoint) })),
    })),
  };
}
