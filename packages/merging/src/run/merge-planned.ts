import { Philox } from '@agentforge/tensor';
import { mergeTensors } from '../operators/merge-tensors.js';
import { elementsOf, type MergePlan, type PlannedTensor } from '../plan/plan.js';
import { alignRows } from '../tokenizer/align-rows.js';

/** The values of a tensor's sources, in their order. */
export function readSources({ sources }: PlannedTensor): Promise<Float32Array[]> {
  return Promise.all(sources.map(({ checkpoint, name }) => checkpoint.tensors.readF32(name)));
}

/**
 * Merges one tensor of a plan. Random choices depend on the seed of the recipe and the tensor's name only.
 * @param values  of its sources, as {@link readSources} gives them; not modified
 */
export function mergePlanned(
  plan: MergePlan,
  tensor: PlannedTensor,
  values: readonly Float32Array[],
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
