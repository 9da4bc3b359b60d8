import type { WeightsDtype } from '@agentforge/model';
import type { Checkpoint, ModelJson } from '../checkpoint/checkpoint.js';
import type { PartialSettings } from '../operators/merge-tensors.js';
import type { MergeRecipe } from '../recipe/recipe.js';
import type { Vocabulary } from '../tokenizer/vocabulary.js';

/** One model's tensor that goes into a tensor of the result. */
export interface PlannedSource {
  readonly checkpoint: Checkpoint;
  /** In that model. */
  readonly name: string;
  readonly isBase: boolean;
  readonly settings: PartialSettings;
}

/** A tensor of the result. */
export interface PlannedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: WeightsDtype;
  readonly sources: readonly PlannedSource[];
  readonly settings: PartialSettings;
  /** How rows of tokens are brought together; `common`: the rows that all have. */
  readonly rows: 'as they are' | 'common' | 'by token';
}

/** The tokenizer of the result. */
export interface PlannedVocabulary {
  /** null: the tokenizer of `donor` as it is. */
  readonly tokenizer: Vocabulary | null;
  /** Whose tokenizer files go with it. */
  readonly donor: Checkpoint;
  /** Rows of the embedding; null: as the donor has them. */
  readonly rows: number | null;
}

/** Everything about a merge but the numbers. */
export interface MergePlan {
  readonly recipe: MergeRecipe;
  /** Whose configuration and tokenizer files the result has. */
  readonly donor: Checkpoint;
  readonly tensors: readonly PlannedTensor[];
  readonly vocabulary: PlannedVocabulary;
  /** `config.json` of the result. */
  readonly config: ModelJson;
  readonly layers: number;
  readonly remarks: readonly string[];
}

/** Bytes of the weights that a plan makes. */
export function sizeBytesOf({ tensors }: MergePlan): number {
  return tensors.reduce((sum, { shape, dtype }) => sum + elementsOf(shape) * (dtype === 'F32' ? 4 : 2), 0);
}

/** Numbers per piece of a tensor that is merged in pieces: with those of a few models it stays in the caches. */
export const PIECE_ELEMENTS = 1 << 19;

/**
 * Whether a tensor is merged at once: its method looks at more than one entry, its rows come together by token, or an
 * adapter adds to it.
 */
export function isMergedWhole({ recipe }: MergePlan, { rows, sources }: PlannedTensor): boolean {
  const hasAdapter = sources.some(({ checkpoint, name }) => checkpoint.adapters?.has(name));
  return recipe.method.isEntrywise !== true || rows === 'by token' || hasAdapter;
}

/** Bytes in f32 of the numbers that are in memory together at most: sources and result; twice where rows are sorted. */
export function workingBytesOf(plan: MergePlan): number {
  const bytes = plan.tensors.map((tensor) => {
    const { shape, sources, rows } = tensor;
    const most = isMergedWhole(plan, tensor) ? Number.POSITIVE_INFINITY : PIECE_ELEMENTS;
    return 4 * Math.min(elementsOf(shape), most) * (sources.length + 1) * (rows === 'by token' ? 2 : 1);
  });
  return bytes.reduce((largest, one) => Math.max(largest, one), 0);
}

/** Numbers of a tensor. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
