import { planSafetensors, type WeightsDtype, writeSafetensors } from '@agentforge/model';
import { elementsOf, type MergePlan, type PlannedTensor } from '../plan/plan.js';
import { Buffers, mergePlanned, readSources } from './merge-planned.js';

/** Most bytes that are read ahead of the merge. */
const READ_AHEAD_BYTES = 2 ** 28;

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
  // Two sets for the sources, so that one tensor is read while another is merged, and one for the result.
  const [sources, result] = [[new Buffers(), new Buffers()] as const, new Buffers()];
  const read = (number: number) =>
    readSources(order[number] as PlannedTensor, sources[number % 2] as Buffers);
  let ahead: Promise<Float32Array[]> | undefined;
  let done = 0;
  await writeSafetensors(path, shapes, async (name) => {
    signal?.throwIfAborted();
    onProgress?.({ done, total: order.length, tensor: name });
    const values = await (ahead ?? read(done));
    const tensor = order[done++] as PlannedTensor;
    const next = order[done];
    ahead = next && bytesOf(next) <= READ_AHEAD_BYTES ? read(done) : undefined;
    // A failure is met when the values are asked for; when they never are, it is of no interest.
    ahead?.catch(() => undefined);
    return mergePlanned(plan, tensor, values, result.take(0, elementsOf(tensor.shape)));
  });
  onProgress?.({ done, total: order.length, tensor: '' });
}

function bytesOf({ shape, sources }: PlannedTensor): number {
  return 4 * elementsOf(shape) * sources.length;
}
