import type { InspectedModel } from '../judge-models.js';
import type { JsonObject, ResultFacts } from '../subject.js';
import type { Evidence, Measurement } from '../verdict.js';

/** What a gate looks at. */
export interface GateSubject {
  readonly config: JsonObject;
  readonly result: ResultFacts;
  readonly inputModels: readonly InspectedModel[];
  readonly outputModels: readonly InspectedModel[];
}

/** A condition on what a phase delivers. */
export interface Gate {
  /** "gate/{phase}/{name}". */
  readonly name: string;
  readonly phase: string;
  /** What it asks, in words. */
  readonly description: string;
  readonly blocking: boolean;
  /** The threshold, where there is one number; its value is 0. */
  readonly threshold?: Measurement;
  readonly judge: (subject: GateSubject) => Evidence;
}
