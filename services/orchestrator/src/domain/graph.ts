import type { FailureClassName } from './retry-policy.js';

/** A JSON value, as configurations carry them. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
/** A JSON object. */
export type JsonObject = { [key: string]: Json };

/** What executes a step; only `phase` is executed today. */
export const STEP_KINDS = ['phase', 'agent_task', 'gate', 'mission'] as const;
/** One of {@link STEP_KINDS}. */
export type StepKindName = (typeof STEP_KINDS)[number];

/** Where an input port reads from. */
export type Source =
  | { readonly kind: 'step'; readonly stepId: string; readonly output: string }
  | {
      readonly kind: 'artifacts';
      readonly refs: readonly { readonly digest: string; readonly type: string }[];
    }
  | { readonly kind: 'none' };

/** Connects an input port of a step. */
export interface Binding {
  readonly port: string;
  readonly source: Source;
}

/** Retry policy as asked for; absent fields take defaults. */
export interface RetryDraft {
  readonly maxAttempts: number;
  readonly initialIntervalMs?: number;
  readonly backoffCoefficient: number;
  readonly maxIntervalMs?: number;
  readonly jitter?: number;
  /** Undefined for a class that is not known. */
  readonly retryClasses?: readonly (FailureClassName | undefined)[];
  readonly nonRetryableReasons?: readonly string[];
}

/** Timeouts as asked for, in milliseconds; absent means default or none. */
export interface TimeoutsDraft {
  readonly scheduleToStartMs?: number;
  readonly startToCloseMs?: number;
  readonly heartbeatMs?: number;
}

/** What a step asks for while it runs; 0 is nothing of that kind. */
export interface ResourceDraft {
  readonly cpu: number;
  readonly memoryBytes: number;
  readonly gpus: number;
  /** On each of them. */
  readonly gpuMemoryBytes: number;
}

/** Resources of one host, as its workers advertise them. */
export interface PoolDraft {
  readonly name: string;
  readonly total: ResourceDraft;
  readonly phases: ReadonlySet<string>;
}

/** A step as asked for. */
export interface StepDraft {
  readonly id: string;
  readonly kind: StepKindName;
  readonly phase: string;
  readonly config: JsonObject;
  readonly inputs: readonly Binding[];
  readonly after: readonly string[];
  readonly retry?: RetryDraft;
  readonly timeouts?: TimeoutsDraft;
  readonly resources?: ResourceDraft;
}

/** A graph as asked for. */
export interface GraphDraft {
  readonly steps: readonly StepDraft[];
  readonly maxParallelSteps: number;
  readonly priority: number;
  readonly deadlineMs?: number;
  /** Size of the graph on the wire. */
  readonly sizeBytes: number;
}

/** A typed input or output of a phase. `maxCount` is never 0. */
export interface PortFacts {
  readonly name: string;
  readonly artifactType: string;
  readonly minCount: number;
  readonly maxCount: number;
}

/** What the rules need to know about a phase. */
export interface PhaseFacts {
  readonly name: string;
  readonly inputs: readonly PortFacts[];
  readonly outputs: readonly PortFacts[];
  /** JSON Schema, draft 2020-12, of the configuration. */
  readonly configSchema: JsonObject;
}

/** One thing wrong with a graph. */
export interface Violation {
  /** Path of the field, for example `steps[2].inputs[0].port`. */
  readonly field: string;
  /** What is wrong, with the offending value, and the fix. */
  readonly description: string;
  /** Whether the engine cannot do it yet, rather than the caller being wrong. */
  readonly unimplemented?: true;
}

/** Bounds of a graph. */
export interface GraphLimits {
  readonly maxSteps: number;
  readonly maxGraphBytes: number;
  readonly maxParallelSteps: number;
}
