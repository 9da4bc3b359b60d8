import { DraftFile, type TensorShape, type WeightsDtype } from '@agentforge/model';
import { emptyCache, scope, type Tensor } from '@agentforge/tensor';
import { elementsOf, type MergePlan, type PlannedTensor } from '../plan/plan.js';
import { mergePiece, piecesOf } from './merge-planned.js';
import { Outbox } from './outbox.js';
import { type OpenSource, prefetch, readConverted, SourceFiles } from './source-files.js';
import { planWeightFiles } from './weight-files.js';

/** Tensors whose operands take more than this leave no memory behind for others. */
const LARGE_BYTES = 2 ** 26;

/** How far a merge is. */
export interface MergeProgress {
  /** Tensors that are written. */
  readonly done: number;
  readonly total: number;
  readonly tensor: string;
}

/** What a merge listens to and tells. */
export interface MergeHooks {
  /** Aborts between two pieces of tensors, with its reason; nothing of the result is left. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: MergeProgress) => void) | undefined;
}

/**
 * Writes the tensors of a plan into safetensors files of a folder. One tensor is merged while the one before is written
 * and the one after is brought into memory.
 * @param maxShardBytes  most bytes of tensors per file; one that is larger has a file of its own
 */
export async function writeWeights(
  plan: MergePlan,
  folder: string,
  maxShardBytes: number,
  { signal, onProgress }: MergeHooks,
): Promise<void> {
  const byName = new Map(plan.tensors.map((tensor) => [tensor.name, tensor]));
  const shapes = new Map<string, TensorShape & { readonly dtype: WeightsDtype }>(
    plan.tensors.map(({ name, dtype, shape }) => [name, { dtype, shape }]),
  );
  const { files, writeIndex } = planWeightFiles(shapes, folder, maxShardBytes);
  const order = files.flatMap(({ plan: { ranges } }) =>
    [...ranges.keys()].map((name) => byName.get(name) as PlannedTensor),
  );
  const sources = new SourceFiles();
  const openAll = (tensor: PlannedTensor) =>
    Promise.all(tensor.sources.map((source) => sources.open(source)));
  const outbox = new Outbox();
  let done = 0;
  try {
    for (const file of files) {
      const draft = await DraftFile.create(file.path, file.plan);
      try {
        for (const _ of file.plan.ranges) {
          const tensor = order[done] as PlannedTensor;
          onProgress?.({ done, total: order.length, tensor: tensor.name });
          done++;
          const opened = await openAll(tensor);
          const next = order[done];
          if (next) for (const source of await openAll(next)) prefetch(source);
          await writeTensor(plan, tensor, opened, draft, outbox, signal);
        }
        await outbox.empty();
        await draft.finish();
      } finally {
        await outbox.settle();
        await draft.discard();
      }
    }
    await writeIndex();
  } finally {
    await sources.close();
  }
  onProgress?.({ done, total: order.length, tensor: '' });
}

async function writeTensor(
  plan: MergePlan,
  planned: PlannedTensor,
  sources: readonly OpenSource[],
  draft: DraftFile,
  outbox: Outbox,
  signal: AbortSignal | undefined,
): Promise<void> {
  const converted = new Map<number, Tensor>();
  try {
    for (const [i, source] of sources.entries())
      if (source.type === undefined) converted.set(i, await readConverted(source));
    for (const piece of piecesOf(plan, planned, sources)) {
      signal?.throwIfAborted();
      const merged = scope(() => mergePiece(plan, planned, sources, piece, converted));
      try {
        await outbox.send(merged, planned.dtype, draft, planned.name, piece.begin);
      } finally {
        merged.dispose();
      }
    }
  } finally {
    for (const tensor of converted.values()) tensor.dispose();
  }
  if (4 * elementsOf(planned.shape) * sources.length > LARGE_BYTES) emptyCache();
}
