import type { FieldViolation } from '@agentforge/errors';
import type { z } from 'zod';

/** A named, typed input or output of a phase. */
export interface PhasePort {
  readonly name: string;
  /** `model`, `corpus`, `report`. */
  readonly artifactType: string;
  /** Fewest artifacts; 0 means optional. */
  readonly minCount: number;
  /** Most artifacts. */
  readonly maxCount: number;
  /** One sentence. */
  readonly summary: string;
}

/** What a metric means. */
export interface PhaseMetric {
  /** snake_case. */
  readonly name: string;
  readonly unit: string;
  /** One sentence. */
  readonly summary: string;
}

/** What a configuration will take on this machine. */
export interface ResourceEstimate {
  /** Peak memory. */
  readonly memoryBytes: number;
  /** Parameters of one model. */
  readonly parameters: number;
  /** Floating-point operations in all. */
  readonly flop: number;
}

/**
 * Everything the runtime needs to serve a phase: what it is called, what it reads and delivers, what may be
 * configured, and the module that computes it in a worker thread.
 */
export interface PhaseDefinition<Schema extends z.ZodType = z.ZodType> {
  /** Name, kebab-case: also the subject of its task queue. */
  readonly name: string;
  /** Version of the algorithm: part of the identity of a result. Raise it when results change. */
  readonly version: string;
  /** One sentence. */
  readonly summary: string;
  readonly inputs: readonly PhasePort[];
  readonly outputs: readonly PhasePort[];
  /** Strict object schema whose every field has a default, bounds and a description. */
  readonly config: Schema;
  /** Rules that span fields; paths are relative to the configuration. */
  checkConfig?(config: z.output<Schema>): readonly FieldViolation[];
  readonly metrics: readonly PhaseMetric[];
  /** What a valid configuration takes. */
  estimate(config: z.output<Schema>): ResourceEstimate;
  /** Name of what is done when every attempt fails; absent when there is nothing. */
  readonly fallback?: string;
  /** Whether the same configuration, seed and inputs give the same result, so that it may be reused. Default true. */
  readonly isDeterministic?: boolean;
  /** Default limit from a worker's start to its report. */
  readonly startToCloseMs: number;
  /** The compiled module that calls `servePhase`, a `file:` URL. */
  readonly workerUrl: URL;
}

/** Returns a definition unchanged; the schema gives the type of its configuration. */
export function definePhase<Schema extends z.ZodType>(
  definition: PhaseDefinition<Schema>,
): PhaseDefinition<Schema> {
  return definition;
}
