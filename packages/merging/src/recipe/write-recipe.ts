import { stringify } from 'yaml';
import type { Setting } from './setting.js';

/** Settings of a recipe to be written; `null` filters are left out. */
export type WrittenParameters = Readonly<
  Record<string, Setting | readonly { filter?: string; value: unknown }[]>
>;

/** A model of a recipe to be written. */
export interface WrittenSource {
  readonly model: string;
  readonly layer_range?: readonly [number, number];
  readonly parameters?: WrittenParameters;
}

/** A recipe to be written: mergekit's fields, and `name` for a merge that later ones use. */
export interface WrittenRecipe {
  readonly name?: string;
  readonly merge_method: string;
  readonly base_model?: string;
  readonly models?: readonly WrittenSource[];
  readonly slices?: readonly {
    readonly sources: readonly WrittenSource[];
    readonly parameters?: WrittenParameters;
  }[];
  readonly parameters?: WrittenParameters;
  readonly dtype?: 'float32' | 'float16' | 'bfloat16';
}

/** Recipes as one YAML file that `parseRecipe` reads. @param comment  lines for the top, without `#` */
export function formatRecipes(recipes: readonly WrittenRecipe[], comment: readonly string[] = []): string {
  const head = comment.map((line) => `# ${line}\n`).join('');
  // Aliases off: mergekit reads them, people do not.
  const documents = recipes.map((recipe) =>
    stringify(recipe, { aliasDuplicateObjects: false, lineWidth: 0 }),
  );
  return `${head}${documents.join('---\n')}`;
}
