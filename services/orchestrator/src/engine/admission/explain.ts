import { RunState, StepState, WaitKind } from '@agentforge/contracts';
import { isTerminalRun, isWhole, type RunRecord, type StepRecord, stepsIn } from '@agentforge/events';
import type { DecideContext } from '../inputs.js';
import { breakerGate } from './breaker.js';
import { cacheGate } from './cache.js';
import { inputsGate } from './inputs.js';
import { leaseGate } from './lease.js';
import { dependencyGate, describeDependencies, MAX_NAMED, slotGate, timeGate } from './run.js';
import type { Wait } from './wait.js';

/**
 * Every reason for which a step that is PENDING or READY is not scheduled, where {@link admission} stops at the first.
 * Pure. Empty when nothing but the next look of the engine is missing, and for a step that runs or has ended.
 */
export function waitsOf(run: RunRecord, step: StepRecord, context: DecideContext): Wait[] {
  if (isTerminalRun(run.state) || run.state === RunState.CANCELLING) return [];
  if (step.state !== StepState.PENDING && step.state !== StepState.READY) return [];
  const waits: Wait[] = [];
  const add = (gate: unknown) => {
    if (isWait(gate)) waits.push(gate.wait);
  };
  if (run.state === RunState.PAUSED) waits.push({ kind: WaitKind.PAUSED });
  if (!isWhole(run)) waits.push({ kind: WaitKind.GRAPH_INCOMPLETE });
  const unmet = dependencyGate(run, step);
  if (unmet) waits.push({ ...unmet.wait, detail: describeDependencies(run, unmet.wait) ?? '' });
  if (step.state === StepState.PENDING) return waits;
  const { id, phase } = step.spec;
  const lease = context.leaseAnswerOf?.(step);
  const isChecking = context.checking.has(id);
  add(timeGate(step, context.nowMs));
  if (step.isExhausted) return waits;
  add(cacheGate(step, context.cacheAnswerOf?.(step)));
  if (isChecking) waits.push({ kind: WaitKind.INPUT_CHECK });
  else if (!hasSlot(lease)) add(named(run, slotGate(run, context.defaultParallelSteps, heldSlots(context))));
  add(breakerGate(context.breakerOf?.(phase, id)));
  add(leaseGate(lease));
  return waits.length > 0 ? waits : questionsAbout(step, context);
}

/** What somebody has to be asked about a step that nothing else holds back; another replica may be doing so. */
function questionsAbout(step: StepRecord, context: DecideContext): Wait[] {
  if (inputsGate(step, context.areInputsAccepted(step.spec.id))) return [{ kind: WaitKind.INPUT_CHECK }];
  return cacheGate(step, context.cacheAnswerOf?.(step)) === 'ask-cache'
    ? [{ kind: WaitKind.CACHE_LOOKUP }]
    : [];
}

/** Slots of the run that steps hold which are not RUNNING: those about which somebody was asked. */
export const heldSlots = (context: DecideContext): number =>
  context.checking.size + (context.leasesAsked ?? 0);

/** Whether a step holds a slot because resources were asked for it. */
export const hasSlot = (answer: ReturnType<NonNullable<DecideContext['leaseAnswerOf']>>): boolean =>
  answer !== undefined && answer.kind !== 'unasked';

/** Which steps are in the way. */
function named(run: RunRecord, gate: { wait: Wait } | undefined): { wait: Wait } | undefined {
  if (gate === undefined) return undefined;
  const stepIds: string[] = [];
  for (const step of stepsIn(run, StepState.RUNNING)) {
    if (stepIds.length === MAX_NAMED) break;
    stepIds.push(step.spec.id);
  }
  return { wait: { ...gate.wait, stepIds } };
}

const isWait = (gate: unknown): gate is { wait: Wait } =>
  typeof gate === 'object' && gate !== null && 'wait' in gate;
