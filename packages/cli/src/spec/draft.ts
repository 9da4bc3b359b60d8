import type { JsonValue } from './checker.js';
import type { FieldPath } from './path.js';

/** What a step reads, before files are uploaded. */
export type InputSource =
  | { readonly kind: 'output'; readonly stepId: string; readonly output: string }
  | { readonly kind: 'content'; readonly items: readonly ContentItem[] };

/** Something that exists already: in the artifact store, or as a file or folder here. */
export type ContentItem =
  | { readonly kind: 'artifact'; readonly digest: string; readonly path: FieldPath }
  | { readonly kind: 'file'; readonly file: string; readonly type?: string; readonly path: FieldPath };

/** When and how often to try again. */
export interface RetrySpec {
  readonly maxAttempts: number | undefined;
  readonly initialIntervalMs: number | undefined;
  readonly backoffCoefficient: number | undefined;
  readonly maxIntervalMs: number | undefined;
  readonly jitter: number | undefined;
  readonly classes: readonly FailureWord[];
  readonly nonRetryableReasons: readonly string[];
}

/** How long things may take. */
export interface TimeoutSpec {
  readonly scheduleToStartMs: number | undefined;
  readonly startToCloseMs: number | undefined;
  readonly heartbeatMs: number | undefined;
}

/** What a step needs while it runs; 0 asks for nothing of that kind. */
export interface ResourceSpec {
  readonly cpu: number;
  readonly memoryBytes: bigint;
  readonly gpus: number;
  readonly gpuMemoryBytes: bigint;
}

/** One step as written. */
export interface StepDraft {
  readonly id: string;
  readonly kind: StepKindName;
  readonly phase: string;
  readonly config: { [key: string]: JsonValue };
  readonly inputs: readonly { readonly port: string; readonly source: InputSource }[];
  readonly after: readonly string[];
  readonly retry: RetrySpec | undefined;
  readonly timeouts: TimeoutSpec | undefined;
  readonly seed: bigint | undefined;
  readonly allowFallback: boolean | undefined;
  readonly cache: CacheWord | undefined;
  readonly resources: ResourceSpec | undefined;
}

/** A specification as written. */
export interface RunSpec {
  readonly name: string;
  readonly run: string;
  readonly project: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly seed: bigint;
  readonly maxParallelSteps: number;
  readonly priority: number;
  readonly deadlineMs: number | undefined;
  readonly steps: readonly StepDraft[];
}

/** Whether a step may take over an earlier result. */
export const CACHE_WORDS = ['read-write', 'refresh', 'off'] as const;

/** One of {@link CACHE_WORDS}. */
export type CacheWord = (typeof CACHE_WORDS)[number];

/** Classes of failure. */
export const FAILURE_WORDS = ['transient', 'resource', 'permanent'] as const;

/** One of {@link FAILURE_WORDS}. */
export type FailureWord = (typeof FAILURE_WORDS)[number];

/** What can execute a step. */
export const STEP_KINDS = ['phase', 'agent_task', 'gate', 'mission'] as const;

/** What executes a step. */
export type StepKindName = (typeof STEP_KINDS)[number];
