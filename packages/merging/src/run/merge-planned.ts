import { Philox } from '@agentforge/tensor';
import { mergeTensors } from '../operators/merge-tensors.js';
import { elementsOf, type MergePlan, type PlannedTensor } from '../plan/plan.js';
import { alignRows } from '../tokenizer/align-rows.js';

/** Memory that is used again for one tensor after the other: it grows to the largest. */
export class Buffers {
  private readonly buffers: ArrayBuffer[] = [];

  /** Buffer number `i`, as so many numbers. What was in it is lost. */
  take(i: number, length: number): Float32Array {
    let buffer = this.buffers[i];
    if (buffer === undefined || buffer.byteLength < 4 * length) {
      buffer = new ArrayBuffer(4 * length);
      this.buffers[i] = buffer;
    }
    return new Float32Array(buffer, 0, length);
  }
}

/** The values of a tensor's sources, in their order, in memory of `buffers`. */
export function readSources({ sources }: PlannedTensor, buffers: Buffers): Promise<Float32Array[]> {
  return Promise.all(
    sources.map(async ({ checkpoint: { tensors }, name }, i) => {
      const values = buffers.take(i, elementsOf(tensors.info(name).shape));
      await tensors.readF32Into(name, values);
      return values;
    }),
  );
}

/**
 * Merges one tensor of a plan. Random choices depend on the seed of the recipe and the tensor's name only.
 * @param into    memory for the result
 * @param values  of its sources, as {@link readSources} gives them; not modified
 */
export function mergePlanned(
  plan: MergePlan,
  tensor: PlannedTensor,
  values: readonly Float32Array[],
  into: Float32Array,
): Float32Array {
  const { method, seed } = plan.recipe;
  const { name, shape, sources, settings } = tensor;
  const fitted = fitRows(plan, tensor, values);
  const base = sources.findIndex(({ isBase }) => isBase);
  return mergeTensors(method, {
    shape,
    base: base < 0 ? undefined : fitted[base],
    models: sources.flatMap(({ isBase, settings: own }, i) =>
      isBase ? [] : [{ values: fitted[i] as Float32Array, settings: own }],
    ),
    settings,
    into,
    stream: new Philox(seed).stream(name),
  });
}

function fitRows(
  { vocabulary, recipe }: MergePlan,
  { rows: how, shape, sources }: PlannedTensor,
  values: readonly Float32Array[],
): readonly Float32Array[] {
  if (how === 'as they are') return values;
  if (how === 'common') return values.map((all) => all.subarray(0, elementsOf(shape)));
  const [rows, width] = shape as [number, number];
  const embeddings = sources.map(({ checkpoint: { reference, vocabulary: own } }, i) => {
    const all = values[i] as Float32Array;
    return {
      model: reference,
      idOf: own?.idOf ?? new Map<string, number>(),
      values: all,
      rows: all.length / width,
    };
  });
  const idOf = vocabulary.tokenizer?.idOf ?? new Map<string, number>();
  const tokens = recipe.tokenizer?.tokens ?? new Map<string, never>();
  return alignRows(embeddings, { idOf, rows, width, base: recipe.base, tokens });
}
