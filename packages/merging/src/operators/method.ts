import type { Philox, Tensor } from '@agentforge/tensor';
import type { MergeParameter, Settings } from './parameter.js';

/** What a method merges: one tensor of every model, all f32 of one shape. */
export interface MergeOperands {
  /** What the others are measured from; null where the method has none or the recipe names none. */
  readonly base: Tensor | null;
  /** The other models, in the order of the recipe; at least one. */
  readonly models: readonly Tensor[];
  /** Values of the parameters with scope `merge`. */
  readonly settings: Settings;
  /** Values of the parameters with scope `model`, one record per model. */
  readonly modelSettings: readonly Settings[];
  /** Where random choices come from; does not advance. */
  readonly stream: Philox;
}

/**
 * What a base model is to a method: it must be named, it may be, or it is one of the models that are merged. `origin`
 * says that the base is not counted among those.
 */
export type BaseRole = 'required' | 'optional' | 'member';

/** A merge method, with mergekit's name, parameters and semantics (version a6e4028). */
export interface MergeMethod {
  readonly name: string;
  /** As people write it. */
  readonly title: string;
  readonly summary: string;
  /** Paper or page that describes it. */
  readonly source: string;
  readonly base: BaseRole;
  /** Fewest and most models besides the base. */
  readonly models: readonly [least: number, most: number];
  readonly parameters: readonly MergeParameter[];
  /** Whether the result depends on a seed. */
  readonly isRandom: boolean;
  /** Whether a tensor that one model alone has goes through unchanged. */
  readonly copiesLone: boolean;
  /** Whether each entry of the result depends on the same entry of the models alone: tensors may be merged in pieces. */
  readonly isEntrywise?: boolean;
  /** The merge of one tensor: a new tensor; operands stay as they are. */
  readonly merge: (operands: MergeOperands) => Tensor;
}
