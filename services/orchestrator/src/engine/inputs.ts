import type { Failure, GraphSpec, StepReport, StepSpec, Verdict } from '@agentforge/contracts';
import type { StepRecord } from '@agentforge/events';
import type { JsonObject } from '@bufbuild/protobuf';
import type { BreakerAnswer } from './admission/breaker.js';
import type { CacheAnswer } from './admission/cache.js';
import type { LeaseAnswer } from './admission/lease.js';

/** What a run is accepted with. */
export interface CreateInput {
  readonly kind: 'create';
  readonly displayName: string;
  readonly labels: Readonly<Record<string, string>>;
  /** With defaults filled in. */
  readonly graph: GraphSpec;
  readonly requestId: string;
  readonly requestDigest: string;
  /** Steps of the whole graph, when `graph` has the first ones only and `add-steps` brings the rest. */
  readonly totalSteps?: number;
  /** The schedule that creates the run; absent for none. */
  readonly schedule?: string;
}

/** What a run that has ended is to do again. */
export interface RetryInput {
  readonly kind: 'retry';
  readonly stepIds: readonly string[];
  readonly configOverrides: Readonly<Record<string, JsonObject>>;
}

/** What can happen to a run. Everything that changes a run enters as one of these. */
export type EngineInput =
  | CreateInput
  | {
      /** More of the steps that the run was created with. */
      readonly kind: 'add-steps';
      /** Steps that the run has before; another number means that somebody else added them. */
      readonly from: number;
      readonly steps: readonly StepSpec[];
    }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'cancel'; readonly reason: string }
  | RetryInput
  | { readonly kind: 'report'; readonly report: StepReport }
  | {
      /** The inputs of a READY step were judged; a failure refuses them. */
      readonly kind: 'inputs-judged';
      readonly stepId: string;
      readonly failure?: Failure;
    }
  | {
      /** The step cache answered; what it said is in the context. */
      readonly kind: 'cache-answered';
      readonly stepId: string;
    }
  | {
      /** The outputs of a VALIDATING step were judged; a failure means that they could not be. */
      readonly kind: 'outputs-judged';
      readonly stepId: string;
      readonly attemptId: string;
      readonly verdicts: readonly Verdict[];
      readonly failure?: Failure;
    }
  | {
      /** Time passed: start what is due, end what took too long. */
      readonly kind: 'tick';
      /** Look at every step, not only at those next to a change: after a restart, or when a batch was cut. */
      readonly isThorough: boolean;
    };

/** What the engine knows besides the run's log. None of it is needed to fold the log. */
export interface DecideContext {
  readonly nowMs: number;
  /** Written into events. */
  readonly actor: string;
  /** Steps that run at once when the graph does not say. */
  readonly defaultParallelSteps: number;
  /** What is done when every attempt of the phase fails; empty for nothing. */
  fallbackOf(phase: string): string;
  /** Whether anything can be said about the outputs of the phase. */
  hasOutputsToJudge(phase: string): boolean;
  /** Whether the inputs of a READY step were judged and accepted. */
  areInputsAccepted(stepId: string): boolean;
  /** What the step cache said about a READY step. Absent: there is no cache. */
  readonly cacheAnswerOf?: (step: StepRecord) => CacheAnswer;
  /**
   * What the scheduler said about a READY step; undefined for a step that needs no lease and no place in its project.
   * Absent: no step does.
   */
  readonly leaseAnswerOf?: (step: StepRecord) => LeaseAnswer | undefined;
  /** READY steps that the scheduler was asked about and that are not scheduled yet; they hold slots. Default 0. */
  readonly leasesAsked?: number;
  /** What the breaker of a phase says about another attempt of a step; undefined for a phase without one. */
  readonly breakerOf?: (phase: string, stepId: string) => BreakerAnswer | undefined;
  /** Version of a phase as it is registered now; empty when it has none. */
  readonly phaseVersionOf?: (phase: string) => string;
  /** Steps whose inputs are being judged; they hold slots. */
  readonly checking: ReadonlySet<string>;
  /** When the run was last resumed, or this replica began to look after it; waiting is counted from then at most. */
  readonly waitingSinceMs: number;
  /** When a worker last said something about the attempt, or when this replica began to listen. */
  lastSignMs(attemptId: string): number;
}
