import type { WeightsDtype } from '@agentforge/model';
import type { MergeMethod } from '../operators/method.js';
import type { SettingMap } from './setting.js';

/** Steps from the root of a recipe to a value. */
export type RecipePath = readonly (string | number)[];

/** A model, or some layers of it, that goes into a slice. */
export interface RecipeSource {
  readonly path: RecipePath;
  /** As written: a folder, or the name of an earlier recipe of the same file. */
  readonly model: string;
  /** First layer and the one after the last; absent: all. */
  readonly layers?: readonly [from: number, to: number];
  readonly parameters: SettingMap;
}

/** Consecutive layers of the result, and what they are merged from. */
export interface RecipeSlice {
  readonly path: RecipePath;
  readonly sources: readonly RecipeSource[];
  /** Instead of the recipe's. */
  readonly base?: string;
  readonly parameters: SettingMap;
}

/** Where the embedding of a token comes from. */
export type TokenSource =
  | { readonly kind: 'default' }
  | { readonly kind: 'zero' }
  | { readonly kind: 'model'; readonly model: string }
  | { readonly kind: 'model_token'; readonly model: string; readonly token: string | number };

/** What is asked for one token: a source, and whether it also replaces what models have. */
export interface TokenRequest {
  readonly path: RecipePath;
  readonly source: TokenSource;
  readonly force: boolean;
}

/** The vocabulary that is asked for. */
export interface TokenizerRequest {
  readonly path: RecipePath;
  readonly source: 'union' | 'base' | { readonly model: string };
  readonly tokens: ReadonlyMap<string, TokenRequest>;
  readonly padToMultipleOf: number;
}

/** A checked recipe: one merge. Whether its models fit each other is another question. */
export interface MergeRecipe {
  /** Number of the document in its file. */
  readonly document: number;
  /** Under which later recipes of the same file use the result. */
  readonly name?: string;
  readonly method: MergeMethod;
  readonly base?: string;
  /** `models` is one slice of whole models. */
  readonly form: 'models' | 'slices';
  readonly slices: readonly RecipeSlice[];
  readonly parameters: SettingMap;
  /** Seed of random methods. */
  readonly seed: number;
  /** Type of the result; absent: that of the base or first model. */
  readonly dtype?: WeightsDtype;
  readonly tokenizer?: TokenizerRequest;
  readonly chatTemplate?: string;
  /** What was accepted and has no effect, for people. */
  readonly remarks: readonly string[];
}

/** All models that a recipe names, in the order of their first mention, the base first. */
export function modelsOf({ base, slices, tokenizer }: MergeRecipe): string[] {
  const named = [
    base,
    ...slices.flatMap((slice) => [slice.base, ...slice.sources.map(({ model }) => model)]),
  ];
  const donors = [...(tokenizer?.tokens.values() ?? [])].map(({ source }) =>
    'model' in source ? source.model : undefined,
  );
  const all = [
    ...named,
    typeof tokenizer?.source === 'object' ? tokenizer.source.model : undefined,
    ...donors,
  ];
  return [...new Set(all.filter((model) => model !== undefined))];
}
