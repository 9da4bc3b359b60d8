import { planSafetensors, type WeightsDtype, writeSafetensors } from '@agentforge/model';
import { emptyCache } from '@agentforge/tensor';
import { elementsOf, type MergePlan, type PlannedTensor } from '../plan/plan.js';
import { Buffers, mergePlanned, readSources } from './merge-planned.js';

/** Most bytes that are read ahead of the merge. */
const READ_AHEAD_BYTES = 2 ** 26;

/** How far a merge is. */
export interface MergeProgress {
  /** Tensors that are written. */
  readonly done: number;
  readonly total: number;
  readonly tensor: string;
}

/** What a merge listens to and tells. */
export interface MergeHooks {
  /** Aborts between two tensors, with its reason; nothing of the result is left. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: MergeProgress) => void) | undefined;
}

/** Writes the tensors of a plan into one safetensors file; memory holds those that one or two tensors are made from. */
export async function writeWeights(
  plan: MergePlan,
  path: string,
  { signal, onProgress }: MergeHooks,
): Promise<void> {
  const byName = new Map(plan.tensors.map((tensor) => [tensor.name, tensor]));
  const shapes = new Map<string, { dtype: WeightsDtype; shape: readonly number[] }>(
    plan.tensors.map(({ name, dtype, shape }) => [name, { dtype, shape }]),
  );
  const order = [...planSafetensors(shapes).ranges.keys()].map((name) => byName.get(name) as PlannedTensor);
  // Two sets for the sources, so that one tensor is read while another is merged; large ones are not, and use the first.
  const [sets, result] = [[new Buffers(), new Buffers()] as const, new Buffers()];
  let set: 0 | 1 = 0;
  let ahead: Promise<Float32Array[]> | undefined;
  let done = 0;
  await writeSafetensors(path, shapes, async (name) => {
    signal?.throwIfAborted();
    onProgress?.({ done, total: order.length, tensor: name });
    const tensor = order[done++] as PlannedTensor;
    if (ahead === undefined) set = 0;
    const values = await (ahead ?? readSources(tensor, sets[set]));
    const next = order[done];
    set = set === 0 ? 1 : 0;
    ahead = next && bytesOf(next) <= READ_AHEAD_BYTES ? readSources(next, sets[set]) : undefined;
    // A failure is met when the values are asked for; when they never are, it is of no interest.
    ahead?.catch(() => undefined);
    const merged = mergePlanned(plan, tensor, values, result.take(0, elementsOf(tensor.shape)));
    if (bytesOf(tensor) > READ_AHEAD_BYTES) emptyCache();
    return merged;
  });
  onProgress?.({ done, total: order.length, tensor: '' });
}

function bytesOf({ shape, sources }: PlannedTensor): number {
  return 4 * elementsOf(shape) * sources.length;
}
