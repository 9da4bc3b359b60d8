import type { Individual } from './individual.js';
import { type ShapeOf, sizeBytesOf, type Weights } from './layout.js';
import { merge } from './merge.js';
import type { SourceId } from './recipe.js';

/**
 * The weights of individuals, made from their recipes when they are wanted. Parents stay; of the others only the last
 * two generations are kept, and of those no more than fit the limit: what was dropped can be made again, because
 * a recipe always gives the same bytes.
 */
export class WeightPool {
  private readonly kept = new Map<SourceId, Weights>();
  private keptBytes = 0;

  /**
   * @param parents        weights of the parents by id
   * @param base           what task vectors are measured from
   * @param individualOf   looks individuals up
   * @param shapeOf        shapes of the parents' tensors
   * @param maxBytes       most bytes of kept weights, besides parents and base
   */
  constructor(
    private readonly parents: ReadonlyMap<SourceId, Weights>,
    private readonly base: Weights,
    private readonly individualOf: (id: SourceId) => Individual,
    private readonly shapeOf: ShapeOf,
    private readonly maxBytes: number,
  ) {}

  /** Weights of an individual. Not to be modified. */
  get(id: SourceId): Weights {
    const found = this.parents.get(id) ?? this.kept.get(id);
    if (found) return found;
    const { recipe } = this.individualOf(id);
    if (!recipe) throw new TypeError(`parent ${id} is not in the pool`);
    const weights = merge(
      recipe,
      recipe.sources.map((source) => this.get(source)),
      this.base,
      this.shapeOf,
    );
    this.keep(id, weights);
    return weights;
  }

  /** Drops everyone born before a generation. */
  dropBefore(generation: number): void {
    for (const id of [...this.kept.keys()]) if (this.individualOf(id).generation < generation) this.drop(id);
  }

  /** Individuals whose weights are in memory, parents not counted. */
  get size(): number {
    return this.kept.size;
  }

  private keep(id: SourceId, weights: Weights): void {
    this.kept.set(id, weights);
    this.keptBytes += sizeBytesOf(weights);
    for (const oldest of this.kept.keys()) {
      if (this.keptBytes <= this.maxBytes || oldest === id) return;
      this.drop(oldest);
    }
  }

  private drop(id: SourceId): void {
    const weights = this.kept.get(id);
    if (!weights) return;
    this.kept.delete(id);
    this.keptBytes -= sizeBytesOf(weights);
  }
}
