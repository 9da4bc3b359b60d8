import type { RunEvent, StepSpec } from '@agentforge/contracts';
import { RELEASED_REASON } from '../src/index.js';

type Payload = RunEvent['payload'];
type Of<Case extends Payload['case']> = Extract<Payload, { case: Case }>['value'];

interface SimpleAttempt {
  readonly id: string;
  readonly token: bigint;
  state: 'queued' | 'started' | 'succeeded' | 'failed' | 'cancelled';
  deliveries: number;
}

interface SimpleStep {
  readonly id: string;
  readonly waitsFor: readonly string[];
  state: string;
  attempts: SimpleAttempt[];
  failed: number;
  released: number;
  isExhausted: boolean;
  fallback: string;
  checkpoint: string;
  outcome: string;
  reported: string;
}

const DONE = ['COMPLETED', 'SKIPPED'];
const LOST = ['FAILED', 'BLOCKED', 'CANCELLED'];
const ENDED = ['COMPLETED', 'FAILED', 'CANCELLED'];

/**
 * A run as one would write it on a page: changed in place, everything looked up, nothing indexed, no table of
 * transitions. What the fold must agree with, event by event.
 */
export class SimpleRun {
  state = 'none';
  wasScheduled = false;
  readonly steps: SimpleStep[] = [];

  /** Takes an event, or refuses it and stays as it is. @returns whether it was taken */
  take({ payload }: RunEvent): boolean {
    if (payload.case === undefined) return false;
    if (payload.case === 'runCreated') {
      if (this.state !== 'none' || !this.add(payload.value.graph?.steps ?? [])) return false;
      this.state = 'PENDING';
      return true;
    }
    if (this.state === 'none') return false;
    return 'stepId' in payload.value ? this.takeOfStep(payload) : this.takeOfRun(payload);
  }

  /** Everything that is to be compared. */
  summary() {
    return {
      state: this.state,
      steps: this.steps.map(({ reported, ...step }) => ({
        ...step,
        reported: reported !== '',
        unmet: step.waitsFor.filter((id) => !DONE.includes(this.stateOf(id))).length,
        isLost: step.waitsFor.some((id) => LOST.includes(this.stateOf(id))),
      })),
    };
  }

  private takeOfRun(payload: Payload): boolean {
    const isOpen = ['PENDING', 'RUNNING', 'PAUSED'].includes(this.state);
    const hasEnded = this.steps.every(({ state }) => [...DONE, ...LOST].includes(state));
    const go = (isAllowed: boolean, to: string) => {
      if (isAllowed) this.state = to;
      return isAllowed;
    };
    switch (payload.case) {
      case 'runPaused':
        return go(this.state === 'PENDING' || this.state === 'RUNNING', 'PAUSED');
      case 'runResumed':
        return go(this.state === 'PAUSED', this.begun());
      case 'runCancelRequested':
        return go(isOpen, 'CANCELLING');
      case 'runCompleted':
        return go(isOpen && this.steps.every(({ state }) => DONE.includes(state)), 'COMPLETED');
      case 'runFailed':
        return go(isOpen && hasEnded, 'FAILED');
      case 'runCancelled':
        return go(this.state === 'CANCELLING' && hasEnded, 'CANCELLED');
      case 'runRetried':
        return go(this.retry(payload.value), this.begun());
      case 'stepsAdded':
        return isOpen && this.add(payload.value.steps);
      default:
        return false;
    }
  }

  private takeOfStep(payload: Payload): boolean {
    const { stepId } = payload.value as { stepId: string };
    const step = this.steps.find(({ id }) => id === stepId);
    if (!step) return false;
    if (payload.case === 'reportRefused') return true;
    if (ENDED.includes(this.state)) return false;
    const isIn = (...states: string[]) => states.includes(step.state);
    const isStopping = this.state === 'CANCELLING';
    const mayBegin = this.state === 'PENDING' || this.state === 'RUNNING';
    const last = step.attempts.at(-1);
    const open = last && (last.state === 'queued' || last.state === 'started') ? last : undefined;
    switch (payload.case) {
      case 'stepReady':
        if (isStopping || !isIn('PENDING') || !this.areDone(step.waitsFor)) return false;
        step.state = 'READY';
        return true;
      case 'stepScheduled':
        return mayBegin && isIn('READY') && this.schedule(step, payload.value);
      case 'stepStarted':
        if (!isIn('RUNNING') || open?.id !== payload.value.attemptId) return false;
        open.state = 'started';
        open.deliveries += 1;
        return true;
      case 'stepCheckpointed':
        if (!isIn('RUNNING') || open?.id !== payload.value.attemptId || !payload.value.checkpoint)
          return false;
        step.checkpoint = payload.value.checkpoint.digest;
        return true;
      case 'stepReported':
        if (!isIn('RUNNING') || open?.id !== payload.value.attemptId || !payload.value.result) return false;
        open.state = 'succeeded';
        step.reported = payload.value.result.outcome;
        step.state = 'VALIDATING';
        return true;
      case 'stepAttemptFailed':
        return isIn('RUNNING', 'VALIDATING') && fail(step, payload.value);
      case 'stepCompleted':
        if (!isIn('VALIDATING')) return false;
        step.outcome = step.reported;
        step.state = 'COMPLETED';
        return true;
      case 'stepFailed':
        if (!isIn('PENDING', 'READY')) return false;
        step.state = 'FAILED';
        return true;
      case 'stepFallbackUsed':
        if (isStopping || !isIn('READY') || !step.isExhausted) return false;
        if (step.fallback !== '' || payload.value.fallback === '') return false;
        step.fallback = payload.value.fallback;
        step.isExhausted = false;
        step.checkpoint = '';
        return true;
      case 'stepSkipped':
        if (isStopping || !isIn('PENDING', 'READY') || step.isExhausted) return false;
        step.state = 'SKIPPED';
        return true;
      case 'stepBlocked': {
        const { causeStepId } = payload.value;
        const isKnown = this.steps.some(({ id }) => id === causeStepId);
        if (!isIn('PENDING') || !isKnown || !step.waitsFor.some((id) => LOST.includes(this.stateOf(id))))
          return false;
        step.state = 'BLOCKED';
        return true;
      }
      case 'stepCancelled':
        if (!isIn('PENDING', 'READY', 'RUNNING', 'VALIDATING')) return false;
        if (open) open.state = 'cancelled';
        step.reported = '';
        step.state = 'CANCELLED';
        return true;
      case 'stepCacheHit': {
        const { key, result, sourceRun, sourceStepId } = payload.value;
        if (!mayBegin || !isIn('READY') || step.isExhausted || step.fallback !== '') return false;
        if (key === '' || sourceRun === '' || sourceStepId === '' || !result) return false;
        Object.assign(step, { state: 'COMPLETED', outcome: result.outcome, reported: '', checkpoint: '' });
        this.begin();
        return true;
      }
      default:
        return false;
    }
  }

  private schedule(step: SimpleStep, { attemptId, number, fencingToken }: Of<'stepScheduled'>): boolean {
    const { attempts } = step;
    if (step.isExhausted || number !== attempts.length + 1 || attemptId === '') return false;
    if (fencingToken <= 0n || attempts.some(({ id, token }) => id === attemptId || token >= fencingToken))
      return false;
    attempts.push({ id: attemptId, token: fencingToken, state: 'queued', deliveries: 0 });
    step.state = 'RUNNING';
    step.reported = '';
    this.begin();
    return true;
  }

  private retry({ stepIds, configOverrides }: Of<'runRetried'>): boolean {
    const isAll = (ids: string[]) => ids.every((id) => stepIds.includes(id));
    if (!ENDED.includes(this.state) || stepIds.length === 0 || !isAll(Object.keys(configOverrides)))
      return false;
    for (const id of stepIds) {
      const readers = this.steps.filter(({ waitsFor }) => waitsFor.includes(id));
      if (![...DONE, ...LOST].includes(this.stateOf(id)) || !isAll(readers.map((reader) => reader.id)))
        return false;
    }
    for (const step of this.steps.filter(({ id }) => stepIds.includes(id)))
      Object.assign(step, { ...fresh(step.id, step.waitsFor), attempts: step.attempts });
    return true;
  }

  private add(specs: readonly StepSpec[]): boolean {
    const ids = [...this.steps.map(({ id }) => id), ...specs.map(({ id }) => id)];
    if (specs.length === 0 || ids.includes('') || new Set(ids).size < ids.length) return false;
    const more = specs.map(({ id, after }) => fresh(id, [...new Set(after)]));
    if (more.some(({ waitsFor }) => waitsFor.some((id) => !ids.includes(id)))) return false;
    const isCyclic = (id: string, path: readonly string[]): boolean =>
      path.includes(id) ||
      (more.find((step) => step.id === id)?.waitsFor ?? []).some((next) => isCyclic(next, [...path, id]));
    if (more.some(({ id }) => isCyclic(id, []))) return false;
    this.steps.push(...more);
    return true;
  }

  private begin(): void {
    this.state = 'RUNNING';
    this.wasScheduled = true;
  }

  private begun(): string {
    return this.wasScheduled ? 'RUNNING' : 'PENDING';
  }

  private areDone(ids: readonly string[]): boolean {
    return ids.every((id) => DONE.includes(this.stateOf(id)));
  }

  private stateOf(id: string): string {
    return this.steps.find((step) => step.id === id)?.state ?? '';
  }
}

function fail(step: SimpleStep, { attemptId, failure, nextAttemptTime }: Of<'stepAttemptFailed'>): boolean {
  const last = step.attempts.at(-1);
  if (!last || last.id !== attemptId || !failure) return false;
  const isRelease = failure.reason === RELEASED_REASON;
  last.state = isRelease ? 'cancelled' : 'failed';
  step.failed += isRelease ? 0 : 1;
  step.released += isRelease ? 1 : 0;
  step.isExhausted = !isRelease && !nextAttemptTime;
  step.reported = '';
  step.state = 'READY';
  return true;
}

function fresh(id: string, waitsFor: readonly string[]): SimpleStep {
  return {
    id,
    waitsFor,
    state: 'PENDING',
    attempts: [],
    failed: 0,
    released: 0,
    isExhausted: false,
    fallback: '',
    checkpoint: '',
    outcome: '',
    reported: '',
  };
}
