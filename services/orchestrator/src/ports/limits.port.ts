import type { GraphLimits } from '../domain/graph.js';

/** The bounds of graphs that this service was given. */
export abstract class Limits implements GraphLimits {
  abstract readonly maxSteps: number;
  abstract readonly maxGraphBytes: number;
  abstract readonly maxParallelSteps: number;
}
