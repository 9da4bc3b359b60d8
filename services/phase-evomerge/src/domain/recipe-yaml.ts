import {
  formatRecipes,
  type WrittenParameters,
  type WrittenRecipe,
  type WrittenSource,
} from '@agentforge/merging';
import { type GroupMerge, groupMerge } from './group-merge.js';
import type { Individual } from './individual.js';
import { groupCount } from './layout.js';
import type { DfsRecipe, ElementwiseRecipe, FrankenmergeRecipe, SourceId } from './recipe.js';

/** Projections that write to the residual stream, by a part of their names. */
const RESIDUAL_PARTS = ['self_attn.o_proj', 'mlp.down_proj'];

/** Who an individual descends from, as files know it. */
export interface Ancestry {
  /** Names of the parents by id. */
  readonly parents: ReadonlyMap<SourceId, string>;
  readonly individualOf: (id: SourceId) => Individual;
  /** What task vectors are measured from: the mean of the parents, or the first of them. */
  readonly base: 'mean' | 'first';
}

/**
 * The recipe of an individual as YAML that `forge merge` and mergekit read, with the merges that it uses before it:
 * models are named as the parents are. It gives the same weights, to the bit.
 */
export function recipeYaml(id: SourceId, ancestry: Ancestry, comment: readonly string[] = []): string {
  return formatRecipes(new RecipeWriter(ancestry).recipesOf(id), comment);
}

class RecipeWriter {
  private readonly stages: WrittenRecipe[] = [];
  private readonly names: Map<SourceId, string>;

  constructor(private readonly ancestry: Ancestry) {
    this.names = new Map(ancestry.parents);
  }

  recipesOf(id: SourceId): readonly WrittenRecipe[] {
    const result = this.write(id);
    return [...this.stages, result];
  }

  private write(id: SourceId): WrittenRecipe {
    const { recipe } = this.ancestry.individualOf(id);
    const dtype = 'float32';
    if (!recipe) return { merge_method: 'passthrough', models: [{ model: this.nameOf(id) }], dtype };
    const written =
      recipe.operator === 'frankenmerge' || recipe.operator === 'dfs'
        ? this.stack(recipe)
        : this.elementwise(recipe);
    return { ...written, dtype };
  }

  /** Name of a model; what is no parent becomes a merge of its own before. */
  private nameOf(id: SourceId): string {
    const known = this.names.get(id);
    if (known !== undefined) return known;
    const recipe = this.write(id);
    return this.addStage(id, recipe);
  }

  private addStage(id: string, recipe: WrittenRecipe): string {
    let name = `stage-${id}`;
    while ([...this.ancestry.parents.values()].includes(name)) name += '_';
    this.names.set(id, name);
    this.stages.push({ name, ...recipe });
    return name;
  }

  private ancestor(): string {
    const parents = [...this.ancestry.parents.values()];
    if (this.ancestry.base === 'first') return parents[0] ?? '';
    const models = parents.map((model) => ({ model, parameters: { weight: 1 } }));
    return (
      this.names.get('mean') ?? this.addStage('mean', { merge_method: 'linear', models, dtype: 'float32' })
    );
  }

  private elementwise(recipe: ElementwiseRecipe): WrittenRecipe {
    const models = recipe.sources.map((source) => this.nameOf(source));
    const layers = this.layersOf(recipe.sources[0] as SourceId);
    const groups = Array.from({ length: groupCount(layers) }, (_, group) => groupMerge(recipe, group));
    const [{ method, base }] = groups as [GroupMerge];
    const baseModel = base === null ? undefined : base === 'ancestor' ? this.ancestor() : models[0];
    // The base has no parameters, and is listed once.
    const listed = baseModel === undefined || models.includes(baseModel) ? models : [...models, baseModel];
    const head = { merge_method: method, ...(baseModel === undefined ? {} : { base_model: baseModel }) };
    const seed: WrittenParameters = 'seed' in recipe ? { seed: recipe.seed } : {};
    const source = (model: string, own: (i: number) => WrittenParameters): WrittenSource => {
      const index = models.indexOf(model);
      return model === baseModel || index < 0 ? { model } : { model, ...parameters(own(index)) };
    };
    const [common] = groups as [GroupMerge];
    if (groups.every((group) => JSON.stringify(group) === JSON.stringify(common))) {
      const whole = listed.map((model) => source(model, (i) => common.own[i] ?? {}));
      return { ...head, models: whole, ...parameters({ ...common.settings, ...seed }) };
    }
    const slices = Array.from({ length: layers }, (_, layer) => ({
      sources: listed.map((model) => {
        const { parameters: own, ...rest } = source(model, (i) =>
          byName(groups, layer, (group) => group.own[i] ?? {}),
        );
        return { ...rest, layer_range: [layer, layer + 1] as const, ...(own ? { parameters: own } : {}) };
      }),
      ...parameters(byName(groups, layer, ({ settings }) => settings)),
    }));
    return { ...head, slices, ...parameters(seed) };
  }

  /**
   * Layers of several models. Where the frame, which embedding and norm come from, is not the source of the first and of
   * the last layer, it goes in beside them with weight 1 for its tensors and 0 for theirs.
   */
  private stack(recipe: FrankenmergeRecipe | DfsRecipe): WrittenRecipe {
    const frame = this.nameOf(recipe.sources[recipe.frame] as SourceId);
    const models = recipe.layers.map((pick) => this.nameOf(recipe.sources[pick.source] as SourceId));
    const isPlain = models[0] === frame && models.at(-1) === frame;
    const factor = isPlain ? 'scale' : 'weight';
    let scale = 1;
    const slices = recipe.layers.map((pick, layer) => {
      scale *= 'scale' in pick ? (pick.scale as number) : 1;
      const model = models[layer] as string;
      const isEnd = layer === 0 || layer === recipe.layers.length - 1;
      const ofFrame = isEnd && model !== frame ? frameParts(layer, recipe.layers.length) : [];
      const scaled = scale === 1 ? [] : RESIDUAL_PARTS.map((filter) => ({ filter, value: 1 / scale }));
      const values = [...ofFrame.map((filter) => ({ filter, value: 0 })), ...scaled, { value: 1 }];
      const own: WrittenSource = {
        model,
        layer_range: [pick.layer, pick.layer + 1],
        ...(isPlain && values.length === 1
          ? {}
          : { parameters: { [factor]: values.length === 1 ? 1 : values } }),
      };
      if (ofFrame.length === 0) return { sources: [own] };
      const weight = [...ofFrame.map((filter) => ({ filter, value: 1 })), { value: 0 }];
      const beside = { model: frame, layer_range: [0, 1] as const, parameters: { weight } };
      // For norm and head mergekit takes as many sources of the last slice as the first slice has.
      return { sources: layer === 0 ? [own, beside] : [beside, own] };
    });
    if (isPlain) return { merge_method: 'passthrough', slices };
    return { merge_method: 'linear', slices, parameters: { normalize: false } };
  }

  private layersOf(id: SourceId): number {
    return this.ancestry.individualOf(id).layers;
  }
}

/** Tensors of no layer that are merged with a layer's slice, by a part of their names. */
function frameParts(layer: number, layers: number): string[] {
  return [
    ...(layer === 0 ? ['embed_tokens'] : []),
    ...(layer === layers - 1 ? ['model.norm', 'lm_head'] : []),
  ];
}

/** Values for the tensors of a layer, and by name for those of no layer that go with its slice. */
function byName(
  groups: readonly GroupMerge[],
  layer: number,
  valuesOf: (group: GroupMerge) => Readonly<Record<string, number | boolean | string>>,
): WrittenParameters {
  const own = valuesOf(groups[1 + layer] as GroupMerge);
  const parts = frameParts(layer, groups.length - 2).map((filter) => {
    const group = filter === 'model.norm' ? groups.at(-1) : groups[0];
    return { filter, values: valuesOf(group as GroupMerge) };
  });
  return Object.fromEntries(
    Object.entries(own).map(([name, value]) => {
      const others = parts.filter(({ values }) => values[name] !== value);
      if (others.length === 0) return [name, value];
      return [name, [...others.map(({ filter, values }) => ({ filter, value: values[name] })), { value }]];
    }),
  );
}

function parameters(values: WrittenParameters): { parameters?: WrittenParameters } {
  return Object.keys(values).length === 0 ? {} : { parameters: values };
}
