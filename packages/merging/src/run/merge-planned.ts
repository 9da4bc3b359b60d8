import { Philox, type Tensor, tensor, viewRows } from '@agentforge/tensor';
import { mergeLoaded } from '../operators/merge-tensors.js';
import {
  elementsOf,
  isMergedWhole,
  type MergePlan,
  PIECE_ELEMENTS,
  type PlannedTensor,
} from '../plan/plan.js';
import { alignRows } from '../tokenizer/align-rows.js';
import { isDivisible, type OpenSource, readPart, readWhole } from './source-files.js';

/** A range of a tensor of the result, `begin` to `end`, exclusive. */
export interface Piece {
  readonly begin: number;
  readonly end: number;
}

/** What a tensor is merged in: pieces where the method allows it, so that nothing leaves the caches; else the whole. */
export function piecesOf(plan: MergePlan, tensor: PlannedTensor, sources: readonly OpenSource[]): Piece[] {
  const elements = elementsOf(tensor.shape);
  const isWhole = isMergedWhole(plan, tensor) || !sources.every(isDivisible);
  if (isWhole || elements <= PIECE_ELEMENTS) return [{ begin: 0, end: elements }];
  return Array.from({ length: Math.ceil(elements / PIECE_ELEMENTS) }, (_, i) => ({
    begin: i * PIECE_ELEMENTS,
    end: Math.min(elements, (i + 1) * PIECE_ELEMENTS),
  }));
}

/**
 * Merges a piece of a tensor of a plan. Random choices depend on the seed of the recipe and the tensor's name only.
 * @param converted  whole tensors of the sources that the compute core does not read, by place
 * @returns  a tensor of the caller's scope
 */
export function mergePiece(
  plan: MergePlan,
  planned: PlannedTensor,
  sources: readonly OpenSource[],
  { begin, end }: Piece,
  converted: ReadonlyMap<number, Tensor>,
): Tensor {
  const { name, shape, settings, rows } = planned;
  const { method, seed } = plan.recipe;
  const isWhole = end - begin === elementsOf(shape);
  const values = sources.map((source, i) => {
    if (!isWhole) return readPart(source, begin, [end - begin]);
    const all = readWhole(source, converted.get(i));
    return rows === 'common' ? viewRows(all, 0, shape[0] as number) : all;
  });
  const fitted = rows === 'by token' ? byToken(plan, planned, values) : values;
  const base = sources.findIndex(({ source: { isBase } }) => isBase);
  return mergeLoaded(method, {
    base: base < 0 ? undefined : fitted[base],
    models: sources.flatMap(({ source: { isBase, settings: own } }, i) =>
      isBase ? [] : [{ values: fitted[i] as Tensor, settings: own }],
    ),
    settings,
    stream: new Philox(seed).stream(name),
  });
}

/** Embeddings with the rows of the vocabulary of the result. */
function byToken(
  { vocabulary, recipe }: MergePlan,
  { shape, sources }: PlannedTensor,
  values: readonly Tensor[],
): readonly Tensor[] {
  const [rows, width] = shape as [number, number];
  const embeddings = sources.map(({ checkpoint: { reference, vocabulary: own } }, i) => {
    const all = (values[i] as Tensor).toFloat32Array();
    return {
      model: reference,
      idOf: own?.idOf ?? new Map<string, number>(),
      values: all,
      rows: all.length / width,
    };
  });
  const idOf = vocabulary.tokenizer?.idOf ?? new Map<string, number>();
  const tokens = recipe.tokenizer?.tokens ?? new Map<string, never>();
  return alignRows(embeddings, { idOf, rows, width, base: recipe.base, tokens }).map((aligned) =>
    tensor(aligned, shape),
  );
}
