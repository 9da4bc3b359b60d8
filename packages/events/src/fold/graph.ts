import { type StepSpec, StepState } from '@agentforge/contracts';
import { IllegalTransitionError } from '../events.errors.js';
import { PersistentList } from './persistent-list.js';
import { PositionSet } from './position-set.js';
import {
  dependenciesOf,
  isLostForDependents,
  isTerminalStep,
  type RunRecord,
  type StepRecord,
  satisfiesDependents,
  stepOf,
} from './run-record.js';

/**
 * The run with further steps, all PENDING. O(steps).
 * @throws IllegalTransitionError  FAILED_PRECONDITION: an id twice, an unknown dependency, or a cycle
 */
export function addSteps(run: RunRecord, specs: readonly StepSpec[], event: string): RunRecord {
  const positions = new Map(run.positions);
  for (const [index, { id }] of specs.entries()) {
    if (!id || positions.has(id))
      throw new IllegalTransitionError(run.name, event, `step id "${id}" twice or empty`);
    positions.set(id, run.steps.length + index);
  }
  const dependents = new Map<string, string[]>();
  const added = specs.map((spec, index): StepRecord => {
    const dependencies = dependenciesOf(spec);
    for (const id of dependencies) {
      if (!positions.has(id))
        throw new IllegalTransitionError(run.name, event, `unknown dependency ${id}`, spec.id);
      addTo(dependents, id, spec.id);
    }
    const unmet = dependencies.filter(
      (id) => !satisfiesDependents(stepOf(run, id)?.state ?? StepState.PENDING),
    );
    const lost = dependencies.find((id) => isLost(run, id));
    return newStep(spec, run.steps.length + index, dependencies, unmet.length, lost);
  });
  const steps = [...run.steps, ...added].map((step) => {
    const more = dependents.get(step.spec.id);
    return more ? { ...step, dependents: [...step.dependents, ...more] } : step;
  });
  requireNoCycle(run.name, event, specs);
  return { ...run, steps: PersistentList.from(steps), positions, byState: indexByState(steps) };
}

/**
 * The run with these steps PENDING again, their budget, checkpoint and result cleared, their attempts kept. O(steps).
 */
export function resetSteps(
  run: RunRecord,
  ids: ReadonlySet<string>,
  withConfig: (spec: StepSpec) => StepSpec,
): RunRecord {
  const isMet = (id: string) =>
    !ids.has(id) && satisfiesDependents(stepOf(run, id)?.state ?? StepState.PENDING);
  const steps = run.steps.toArray().map((step): StepRecord => {
    if (!ids.has(step.spec.id)) return step;
    const { spec, position, dependencies } = step;
    const unmet = dependencies.filter((id) => !isMet(id)).length;
    const lost = dependencies.find((id) => !ids.has(id) && isLost(run, id));
    return {
      ...newStep(withConfig(spec), position, dependencies, unmet, lost),
      dependents: step.dependents,
      attempts: step.attempts,
      fencingToken: step.fencingToken,
      refusals: step.refusals,
    };
  });
  return { ...run, steps: PersistentList.from(steps), byState: indexByState(steps) };
}

/** @throws IllegalTransitionError  a step is unknown, has not ended, or has a dependent that is not retried with it */
export function checkRetryClosure(run: RunRecord, ids: ReadonlySet<string>): void {
  for (const id of ids) {
    const step = stepOf(run, id);
    if (!step) throw new IllegalTransitionError(run.name, 'runRetried', 'no such step', id);
    if (!isTerminalStep(step.state))
      throw new IllegalTransitionError(run.name, 'runRetried', 'it has not ended', id);
    const left = step.dependents.find((dependent) => !ids.has(dependent));
    if (left !== undefined)
      throw new IllegalTransitionError(run.name, 'runRetried', `its dependent ${left} is not retried`, id);
  }
}

function isLost(run: RunRecord, id: string): boolean {
  const step = stepOf(run, id);
  return step !== undefined && isLostForDependents(step.state);
}

function newStep(
  spec: StepSpec,
  position: number,
  dependencies: readonly string[],
  unmetDependencies: number,
  lostDependency: string | undefined,
): StepRecord {
  return {
    position,
    spec,
    state: StepState.PENDING,
    dependencies,
    dependents: [],
    unmetDependencies,
    lostDependency,
    attempts: [],
    fencingToken: 0n,
    failedAttempts: 0,
    releases: 0,
    isExhausted: false,
    checkpoint: undefined,
    readyTime: undefined,
    nextAttemptTime: undefined,
    reported: undefined,
    result: undefined,
    verdicts: [],
    failure: undefined,
    fallback: '',
    fallbackCause: undefined,
    cachedFrom: undefined,
    refusals: [],
  };
}

function indexByState(steps: readonly StepRecord[]): ReadonlyMap<StepState, PositionSet> {
  const positions = new Map<StepState, number[]>();
  for (const { state, position } of steps) addTo(positions, state, position);
  return new Map([...positions].map(([state, list]) => [state, PositionSet.from(list)]));
}

/** Old steps cannot depend on new ones, so a cycle lies within the new ones: Kahn's algorithm. */
function requireNoCycle(run: string, event: string, specs: readonly StepSpec[]): void {
  const fresh = new Map(specs.map((spec) => [spec.id, dependenciesOf(spec)]));
  const waiting = new Map<string, number>();
  const dependents = new Map<string, string[]>();
  for (const [id, dependencies] of fresh) {
    const within = dependencies.filter((dependency) => fresh.has(dependency));
    waiting.set(id, within.length);
    for (const dependency of within) addTo(dependents, dependency, id);
  }
  const free = [...waiting].filter(([, count]) => count === 0).map(([id]) => id);
  for (let id = free.pop(); id !== undefined; id = free.pop()) {
    waiting.delete(id);
    for (const dependent of dependents.get(id) ?? []) {
      const count = (waiting.get(dependent) ?? 0) - 1;
      waiting.set(dependent, count);
      if (count === 0) free.push(dependent);
    }
  }
  const [stuck] = waiting.keys();
  if (stuck !== undefined) throw new IllegalTransitionError(run, event, 'it depends on itself', stuck);
}

function addTo<Key, Value>(lists: Map<Key, Value[]>, key: Key, value: Value): void {
  const known = lists.get(key);
  if (known) known.push(value);
  else lists.set(key, [value]);
}
