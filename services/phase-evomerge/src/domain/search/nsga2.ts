import type { Philox } from '@agentforge/tensor';
import { type Costs, crowdingDistances, sortByFront } from './pareto.js';

/** Somebody with genes in [0, 1] and costs in every objective. */
export interface Contender {
  readonly genes: readonly number[];
  readonly costs: Costs;
}

/** The constants of Deb et al.: distribution indices of crossover and mutation, and how often two parents cross. */
const CROSSOVER = { index: 15, share: 0.9 } as const;
const MUTATION_INDEX = 20;

/** Genes closer than this are the same and need no crossover. */
const SAME = 1e-14;

/**
 * Who lives on: whole fronts while they fit, then the least crowded of the next one.
 * @returns indices, best first
 */
export function surviving(costs: readonly Costs[], count: number): number[] {
  const living: number[] = [];
  for (const front of sortByFront(costs)) {
    const room = crowdingDistances(front.map((i) => costs[i] as Costs));
    const order = front
      .map((i, at) => ({ i, room: room[at] as number }))
      .sort((a, b) => (a.room === b.room ? a.i - b.i : b.room > a.room ? 1 : -1));
    living.push(...order.map(({ i }) => i));
    if (living.length >= count) break;
  }
  return living.slice(0, count);
}

/** A child, and the indices of its two parents. */
export interface Child {
  readonly genes: readonly number[];
  readonly parents: readonly [number, number];
}

/**
 * Children of a population: parents by binary tournament, simulated binary crossover, polynomial mutation.
 * @param population  best first, as {@link surviving} orders them: the earlier of two wins
 * @see Deb et al. 2002, IEEE Trans. Evol. Comput. 6, 182–197; Deb & Agrawal 1995 (SBX)
 */
export function offspring(population: readonly Contender[], count: number, rng: Philox): Child[] {
  const children: Child[] = [];
  while (children.length < count) {
    const parents = [fight(population.length, rng), fight(population.length, rng)] as const;
    const [a, b] = parents.map((i) => (population[i] as Contender).genes) as [number[], number[]];
    for (const genes of crossed(a, b, rng)) {
      if (children.length < count) children.push({ genes: mutated(genes, rng), parents });
    }
  }
  return children;
}

function fight(size: number, rng: Philox): number {
  return Math.min(rng.integer(size), rng.integer(size));
}

function crossed(a: readonly number[], b: readonly number[], rng: Philox): [number[], number[]] {
  const children: [number[], number[]] = [[...a], [...b]];
  if (rng.float() >= CROSSOVER.share) return children;
  for (let k = 0; k < a.length; k++) {
    const [x, y] = [a[k] as number, b[k] as number];
    if (rng.float() >= 0.5 || Math.abs(x - y) < SAME) continue;
    const [low, high] = [Math.min(x, y), Math.max(x, y)];
    const u = rng.float();
    const first = 0.5 * (low + high - spread(u, (2 * low) / (high - low)) * (high - low));
    const second = 0.5 * (low + high + spread(u, (2 * (1 - high)) / (high - low)) * (high - low));
    const isSwapped = rng.float() < 0.5;
    children[0][k] = clip(isSwapped ? second : first);
    children[1][k] = clip(isSwapped ? first : second);
  }
  return children;
}

/** SBX's β for a uniform number, given the room towards the bound relative to half the distance of the parents. */
function spread(u: number, room: number): number {
  const power = 1 / (CROSSOVER.index + 1);
  const alpha = 2 - (1 + room) ** -(CROSSOVER.index + 1);
  return u <= 1 / alpha ? (u * alpha) ** power : (1 / (2 - u * alpha)) ** power;
}

/** One gene in expectation moves. */
function mutated(genes: readonly number[], rng: Philox): number[] {
  const power = 1 / (MUTATION_INDEX + 1);
  return genes.map((x) => {
    if (rng.float() >= 1 / genes.length) return x;
    const u = rng.float();
    const step =
      u < 0.5
        ? (2 * u + (1 - 2 * u) * (1 - x) ** (MUTATION_INDEX + 1)) ** power - 1
        : 1 - (2 * (1 - u) + 2 * (u - 0.5) * x ** (MUTATION_INDEX + 1)) ** power;
    return clip(x + step);
  });
}

function clip(x: number): number {
  return Math.min(1, Math.max(0, x));
}
