import type { Handle } from './addon-types.js';

/** Which entries of a task vector stay: all, the largest, a random choice, the largest without the very largest, a choice by rank. */
export const MERGE_METHODS = { ALL: 0, MAGNITUDE: 1, RANDOM: 2, BREADCRUMBS: 3, DELLA: 4 } as const;
/** Code of a sparsification, see {@link MERGE_METHODS}. */
export type MergeMethodCode = (typeof MERGE_METHODS)[keyof typeof MERGE_METHODS];

/** What kept entries are multiplied by: 1, Σ|all|/Σ|kept| (mergekit), 1/density (the paper). */
export const MERGE_RESCALES = { NONE: 0, MATCH_L1: 1, INVERSE_DENSITY: 2 } as const;
/** Code of a rescaling, see {@link MERGE_RESCALES}. */
export type MergeRescaleCode = (typeof MERGE_RESCALES)[keyof typeof MERGE_RESCALES];

/** Merging of models: one tensor of each, of equal shape, by mergekit's rules. */
export interface MergeFunctions {
  // Sums are in f64, with the same bytes on every instruction set. "Passes" count how often each model is read.
  /** Σ wᵢxᵢ, divided by Σ wᵢ when `normalize` (unless that is below 1e-8). Models of weight 0 are not read. One pass. */
  mergeLinear(xs: readonly Handle[], weights: readonly number[], normalize: boolean): Handle;
  /** Spherical interpolation, straight when |cos| > 0.9995; t = 0 and 1 copy a and b. Shoemake 1985. Two passes. */
  mergeSlerp(a: Handle, b: Handle, t: number): Handle;
  /** As slerp, straight only when sin < 1e-8; on task vectors when there is a base. Two passes. */
  mergeNuslerp(a: Handle, b: Handle, base: Handle | null, t: number): Handle;
  /** Weighted mean of the directions times the weighted mean of the norms; ARGUMENT when more than two cancel. Two passes. */
  mergeMultislerp(
    xs: readonly Handle[],
    weights: readonly number[],
    base: Handle | null,
    normalize: boolean,
  ): Handle;
  /** Karcher mean of the directions times the mean of the norms; iterates on inner products, at most 10000 times: two passes. */
  mergeKarcher(
    xs: readonly Handle[],
    weights: readonly number[],
    maxIterations: number,
    tolerance: number,
  ): Handle;
  /** t·mean(x) + (1 − t)·base, t = N cos/(1 + (N−1) cos) of the mean angle; N ≥ 2. Jang et al. 2024. Two passes. */
  mergeModelStock(base: Handle, xs: readonly Handle[]): Handle;
  /**
   * base + λ·mix(kept deltas): task arithmetic, TIES, DARE, DELLA, breadcrumbs.
   * @param method     which entries of a delta stay, see {@link MERGE_METHODS}
   * @param densities  share that stays, (0, 1]; one per model
   * @param extras     BREADCRUMBS: share of the largest that is dropped; DELLA: epsilon; else not used
   * @param rescale    see {@link MERGE_RESCALES}
   * @param keys       RANDOM, DELLA: key of each model's stream as two u32, low first; else may be empty
   * @param consensus  elect a sign per entry (+ when shares cancel) and mix what has it
   * @param normalize  divide by the sum of the weights that took part
   * Passes: 1, plus one for MAGNITUDE, BREADCRUMBS (two when many entries are equal), DELLA, plus one for MATCH_L1.
   */
  mergeTaskVectors(
    base: Handle,
    xs: readonly Handle[],
    weights: readonly number[],
    method: MergeMethodCode,
    densities: readonly number[],
    extras: readonly number[],
    rescale: MergeRescaleCode,
    keys: readonly number[],
    consensus: boolean,
    normalize: boolean,
    lambda: number,
  ): Handle;
  /** Keeps the share `selectTopk` of entries with the largest variance, weights by energy, erases minority signs. Two passes; four below 1. Wan et al. 2024. */
  mergeSce(base: Handle, xs: readonly Handle[], selectTopk: number): Handle;
  /** base + means of deltas above epsilon; single ones times 1 + r·min(shared/unique, alpha). r = 0: one pass, else two. arXiv:2601.13572. */
  mergeRam(base: Handle, xs: readonly Handle[], epsilon: number, r: number, alpha: number): Handle;
  /** w·b + (1−w)·a, w = t/|a−b| in 0..1. One pass. */
  mergeNearswap(a: Handle, b: Handle, t: number): Handle;
  /** x where |x−base|·KL of the row's softmaxes is at least median + 1.5 interquartile ranges, else base. Rows: the last axis. */
  mergeArceeFusion(base: Handle, x: Handle): Handle;
}
