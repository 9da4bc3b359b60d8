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

/** Bytes in f32 of the tensors that are in memory together at most: sources, result, and a copy in the compute core. */
export function workingBytesOf({ tensors }: MergePlan): number {
  return Math.max(
    0,
    ...tensors.map(({ shape, sources }) => 4 * elementsOf(shape) * 2 * (sources.length + 1)),
  );
}

/** Numbers of a tensor. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
