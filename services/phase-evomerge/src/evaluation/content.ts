import { createHash } from 'node:crypto';
import type { Individual } from '../domain/individual.js';
import type { Recipe, SourceId } from '../domain/recipe.js';

/** Looks individuals up. */
export type Lineage = (id: SourceId) => Individual;

/** Recipes by name, sources before what is made of them. Names say what is made: equal names make equal weights. */
export type Closure = ReadonlyMap<SourceId, Recipe>;

/**
 * Names individuals by their content: parents keep their names, everyone else is called by the digest of the recipe, in
 * which sources are called so too. The same genome has the same name in every generation and run.
 */
export class ContentNames {
  private readonly names = new Map<SourceId, SourceId>();

  constructor(private readonly lineage: Lineage) {}

  /** The name of an individual. */
  nameOf(id: SourceId): SourceId {
    const known = this.names.get(id);
    if (known !== undefined) return known;
    const recipe = this.recipeOf(id);
    const name = recipe ? createHash('sha256').update(JSON.stringify(recipe)).digest('hex') : id;
    this.names.set(id, name);
    return name;
  }

  /** What the weights of an individual are made with, from the parents on. */
  closureOf(id: SourceId): Closure {
    const closure = new Map<SourceId, Recipe>();
    const add = (one: SourceId): void => {
      const recipe = this.recipeOf(one);
      if (!recipe || closure.has(this.nameOf(one))) return;
      for (const source of this.lineage(one).recipe?.sources ?? []) add(source);
      closure.set(this.nameOf(one), recipe);
    };
    add(id);
    return closure;
  }

  private recipeOf(id: SourceId): Recipe | null {
    const { recipe } = this.lineage(id);
    return recipe && ({ ...recipe, sources: recipe.sources.map((one) => this.nameOf(one)) } as Recipe);
  }
}
