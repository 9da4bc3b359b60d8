import type { WeightsDtype } from '@agentforge/model';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { isBeforeLayers, isHead, isParameter, isVocabulary, placeOf } from '../checkpoint/layout.js';
import { Problems } from '../recipe/fields.js';
import type { MergeRecipe, RecipeSlice, RecipeSource } from '../recipe/recipe.js';
import { outputConfig } from './output-config.js';
import type { MergePlan, PlannedSource, PlannedTensor, PlannedVocabulary } from './plan.js';
import { planVocabulary, vocabularyProblem } from './plan-vocabulary.js';
import { mergeSettings, type SettingPlace, sourceSettings } from './resolve-settings.js';

/** Problems with tensors that are spelled out. */
const SHOWN = 5;

const DTYPES: Readonly<Record<string, WeightsDtype>> = { F32: 'F32', F64: 'F32', F16: 'F16', BF16: 'BF16' };

/** A plan, or what is wrong with it. */
export interface Planned {
  readonly plan: MergePlan | undefined;
  readonly problems: Problems['found'];
}

/**
 * Plans a merge: which tensors of which models become each tensor of the result, with which settings. Reads headers only.
 * @param models  every model that the recipe names, by its reference
 */
export function planMerge(recipe: MergeRecipe, models: ReadonlyMap<string, Checkpoint>): Planned {
  const planner = new Planner(recipe, models);
  const plan = planner.run();
  return { plan: planner.problems.found.length === 0 ? plan : undefined, problems: planner.problems.found };
}

class Planner {
  readonly problems = new Problems();
  private readonly tensors: PlannedTensor[] = [];
  private readonly unfit: string[] = [];
  private readonly remarks = new Set<string>();
  private readonly donor: Checkpoint;
  private vocabulary: PlannedVocabulary;
  private readonly picks: number[] = [];

  constructor(
    private readonly recipe: MergeRecipe,
    private readonly models: ReadonlyMap<string, Checkpoint>,
  ) {
    const first = recipe.base ?? (recipe.slices[0]?.sources[0]?.model as string);
    this.donor = this.of(first);
    this.vocabulary = { tokenizer: null, donor: this.donor, rows: null };
  }

  run(): MergePlan | undefined {
    this.checkKinds();
    if (this.problems.found.length > 0) return undefined;
    this.vocabulary = planVocabulary(this.recipe, this.donor, [...this.models.values()], this.problems);
    const { slices } = this.recipe;
    const [first, last] = [slices[0] as RecipeSlice, slices.at(-1) as RecipeSlice];
    const outside = this.namesOutside([first, last]);
    for (const name of outside.filter(isBeforeLayers))
      this.plan(name, first, 0, (source) => this.stored(source, name));
    for (const slice of slices) this.planSlice(slice);
    for (const name of outside.filter((other) => !isBeforeLayers(other))) {
      this.plan(name, last, 0, (source) => this.stored(source, name));
    }
    this.reportUnfit();
    return this.finish();
  }

  private of(reference: string): Checkpoint {
    return this.models.get(reference) as Checkpoint;
  }

  /** One architecture, and layers that are there. */
  private checkKinds(): void {
    const kindOf = ({ config }: Checkpoint) =>
      String(config['model_type'] ?? config['architectures'] ?? 'no kind');
    for (const source of this.recipe.slices.flatMap(({ sources }) => sources)) {
      const model = this.of(source.model);
      if (kindOf(model) !== kindOf(this.donor)) {
        const message = `is a ${kindOf(model)}, ${this.donor.reference} a ${kindOf(this.donor)}: different architectures`;
        this.problems.add([...source.path, 'model'], message);
      }
      const { layers } = model.layout;
      if (source.layers && source.layers[1] > layers) {
        this.problems.add(
          [...source.path, 'layer_range'],
          `ends at ${source.layers[1]}; ${source.model} has ${layers} layers`,
        );
      }
      if (!source.layers && layers !== this.donor.layout.layers) {
        const message = `has ${layers} layers, ${this.donor.reference} ${this.donor.layout.layers}: use slices`;
        this.problems.add(source.path, message);
      }
    }
  }

  /** Tensors of no layer, in the order of the files. A head that every model ties to its embedding is left out. */
  private namesOutside(slices: readonly RecipeSlice[]): string[] {
    const models = [...new Set(slices.flatMap(({ sources }) => sources.map(({ model }) => this.of(model))))];
    const names = new Set<string>();
    for (const { tensors, layout } of models) {
      for (const name of tensors.names) if (isParameter(name) && !placeOf(layout, name)) names.add(name);
    }
    const isTied = (name: string) => isHead(name) && models.every((model) => isTiedIn(model, name));
    return [...names].filter((name) => !isTied(name));
  }

  private planSlice(slice: RecipeSlice): void {
    const [first] = slice.sources as [RecipeSource];
    const [from, to] = first.layers ?? [0, this.of(first.model).layout.layers];
    for (let offset = 0; offset < to - from; offset++) {
      const t = to - from > 1 ? offset / (to - from - 1) : 1;
      const layer = this.picks.push(from + offset) - 1;
      const rests = new Set<string>();
      for (const source of slice.sources) {
        const { tensors, layout } = this.of(source.model);
        const own = (source.layers?.[0] ?? 0) + offset;
        for (const name of tensors.names) {
          const place = placeOf(layout, name);
          if (place?.layer === own && isParameter(name)) rests.add(place.rest);
        }
      }
      for (const rest of rests) {
        const name = `${this.donor.layout.prefix}${layer}.${rest}`;
        this.plan(name, slice, t, (source) =>
          this.stored(
            source,
            `${this.of(source.model).layout.prefix}${(source.layers?.[0] ?? 0) + offset}.${rest}`,
          ),
        );
      }
    }
  }

  /** Where a source has a tensor: under its name, or a tied head in its embedding. */
  private stored({ model }: RecipeSource, name: string): string | null {
    const checkpoint = this.of(model);
    if (checkpoint.tensors.has(name) && !isTiedIn(checkpoint, name)) return name;
    if (!isHead(name)) return null;
    return checkpoint.tensors.names.find((other) => isVocabulary(other) && !isHead(other)) ?? null;
  }

  private plan(
    name: string,
    slice: RecipeSlice,
    t: number,
    nameIn: (source: RecipeSource) => string | null,
  ): void {
    const { recipe } = this;
    const place: SettingPlace = { recipe, slice, t, problems: this.problems };
    const base = recipe.method.base === 'member' ? undefined : (slice.base ?? recipe.base);
    const sources = slice.sources.flatMap((source): PlannedSource[] => {
      const own = nameIn(source);
      if (own === null) {
        this.unfit.push(`${source.model} has no ${name}`);
        return [];
      }
      const isBase = source.model === base;
      const checkpoint = this.of(source.model);
      return [{ checkpoint, name: own, isBase, settings: sourceSettings(place, source, own, isBase) }];
    });
    const reference = sources.find(({ isBase }) => isBase) ?? sources[0];
    if (!reference || sources.length < slice.sources.length) return;
    const infos = sources.map((source) => source.checkpoint.tensors.info(source.name));
    const { shape, dtype } = reference.checkpoint.tensors.info(reference.name);
    const stored = DTYPES[dtype];
    const odd = infos.findIndex((info) => DTYPES[info.dtype] === undefined);
    if (stored === undefined || odd >= 0) {
      this.unfit.push(
        `${name} is ${infos[Math.max(0, odd)]?.dtype} in ${sources[Math.max(0, odd)]?.checkpoint.reference}`,
      );
      return;
    }
    const settings = mergeSettings(place, name);
    const planned = { name, dtype: recipe.dtype ?? stored, sources, settings };
    const fitted = this.fit(
      name,
      shape,
      sources,
      infos.map((info) => info.shape),
    );
    if (fitted) this.tensors.push({ ...planned, ...fitted });
  }

  /** Shape of the result, and how rows come together; undefined, noted, when shapes do not fit. */
  private fit(
    name: string,
    shape: readonly number[],
    sources: readonly PlannedSource[],
    shapes: readonly (readonly number[])[],
  ): Pick<PlannedTensor, 'shape' | 'rows'> | undefined {
    const isTokens = isVocabulary(name) && shape.length === 2;
    const { rows, tokenizer } = this.vocabulary;
    if (isTokens && tokenizer && rows !== null && shapes.every((other) => other[1] === shape[1])) {
      return { shape: [rows, shape[1] as number], rows: 'by token' };
    }
    if (isTokens) this.compareVocabularies(sources);
    const odd = shapes.findIndex((other) => other.join() !== shape.join());
    if (odd < 0) return { shape, rows: 'as they are' };
    const isPadding = isTokens && shapes.every((other) => other.length === 2 && other[1] === shape[1]);
    const common = Math.min(...shapes.map(([first = 0]) => first));
    const used = Math.max(
      0,
      ...sources.map(({ checkpoint }) => checkpoint.vocabulary?.idOf.size ?? Number.POSITIVE_INFINITY),
    );
    if (isPadding && common >= used) {
      this.remarks.add(
        `embeddings have the first ${common} rows, which all models have; the rest is padding`,
      );
      return { shape: [common, shape[1] as number], rows: 'common' };
    }
    const other = sources[odd]?.checkpoint.reference;
    this.unfit.push(`${name} is [${shapes[odd]}] in ${other}, [${shape}] elsewhere`);
    return undefined;
  }

  private compareVocabularies(sources: readonly PlannedSource[]): void {
    const [first, ...others] = sources;
    for (const { checkpoint } of others) {
      const message = first && vocabularyProblem(first.checkpoint, checkpoint);
      const source = this.recipe.slices
        .flatMap((slice) => slice.sources)
        .find(({ model }) => model === checkpoint.reference);
      const isKnown = this.problems.found.some((problem) => problem.message === message);
      if (message && source && !isKnown) this.problems.add(source.path, message);
    }
  }

  private reportUnfit(): void {
    const { unfit } = this;
    for (const message of unfit.slice(0, SHOWN)) this.problems.add([this.recipe.form], message);
    if (unfit.length > SHOWN)
      this.problems.add([this.recipe.form], `and ${unfit.length - SHOWN} more tensors that do not fit`);
  }

  private finish(): MergePlan {
    const { donor, recipe, tensors, vocabulary, picks } = this;
    const rows = tensors.find(({ rows: how }) => how !== 'as they are')?.shape[0] ?? null;
    const hasHead = tensors.some(({ name }) => isHead(name));
    const isTied = donor.config['tie_word_embeddings'];
    const dtype = recipe.dtype ?? tensors[0]?.dtype ?? 'F32';
    return {
      recipe,
      donor,
      tensors,
      vocabulary,
      layers: picks.length,
      config: outputConfig(donor.config, {
        layers: picks.length,
        picks: recipe.form === 'slices' ? picks : undefined,
        vocabularySize: rows,
        dtype,
        isTied: hasHead && isTied === true ? false : null,
      }),
      remarks: [...recipe.remarks, ...this.remarks],
    };
  }
}

/** Whether a head is the embedding again: the configuration says so, and makes readers ignore a copy in the file. */
function isTiedIn({ config, tensors }: Checkpoint, name: string): boolean {
  return isHead(name) && (config['tie_word_embeddings'] === true || !tensors.has(name));
}
