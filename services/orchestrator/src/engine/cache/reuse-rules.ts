import { CachePolicy, type PhaseDescriptor, type StepResult } from '@agentforge/contracts';
import type { CachedStep, StepRecord } from '@agentforge/events';

/** The policies that a step may end up with. */
export type EffectivePolicy = CachePolicy.READ_WRITE | CachePolicy.REFRESH | CachePolicy.OFF;

/** The policy of a step. @param standard  what a step has that does not say */
export function policyOf(step: StepRecord, standard: EffectivePolicy): EffectivePolicy {
  return step.spec.cache === CachePolicy.UNSPECIFIED ? standard : step.spec.cache;
}

/** Why results of a phase are never reused; undefined when they may be. */
export function notReusable(phase: PhaseDescriptor | undefined): string | undefined {
  if (phase === undefined) return 'its phase is not installed';
  if (phase.version === '')
    return 'its phase has no version, so nobody can tell whether it is still the same';
  if (phase.nonDeterministic) return 'its phase says that the same work may give another result';
  return phase.outputs.length === 0 ? 'its phase delivers nothing' : undefined;
}

/**
 * Whether the result of a step that completed may be kept for others: its own work, of a phase whose version did not
 * change meanwhile, with something delivered.
 */
export function isWorthKeeping(
  step: StepRecord,
  phase: PhaseDescriptor | undefined,
  standard: EffectivePolicy,
): boolean {
  return (
    policyOf(step, standard) !== CachePolicy.OFF &&
    notReusable(phase) === undefined &&
    step.fallback === '' &&
    step.cachedFrom === undefined &&
    step.attempts.at(-1)?.phaseVersion === phase?.version &&
    (step.result?.outputs ?? []).some(({ artifacts }) => artifacts.length > 0)
  );
}

/** Whether a result is the step's own: who does a step again wants the work done, not its old result. */
export function isOwn(found: Pick<CachedStep, 'sourceRun' | 'sourceStepId'>, run: string, stepId: string) {
  return found.sourceRun === run && found.sourceStepId === stepId;
}

/** Everything that a result points to. */
export const artifactsOf = (result: StepResult) => result.outputs.flatMap(({ artifacts }) => artifacts);
