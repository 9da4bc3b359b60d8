import {
  type Run,
  type RunEvent,
  RunState,
  type Step,
  type StepProgress,
  StepState,
  type WatchRunResponse,
} from '@agentforge/contracts';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { Curves } from './curves.js';
import { isFinal } from './states.js';

/** Where a step stands, for drawing. */
export interface StepView {
  readonly id: string;
  readonly phase: string;
  state: StepState;
  attempt: number;
  fraction: number;
  etaSeconds: number | undefined;
  stage: string;
  outcome: string;
  failure: string;
  /** Name of the fallback that takes the place of the step's work; empty for none. */
  fallback: string;
  startedAt: Date | undefined;
  endedAt: Date | undefined;
  readonly curves: Curves;
}

/** A run as a viewer sees it: the snapshot that came first, and every event and progress since. */
export class RunView {
  name = '';
  displayName = '';
  state: RunState = RunState.UNSPECIFIED;
  failure = '';
  revision = 0n;
  createdAt: Date | undefined;
  endedAt: Date | undefined;
  /** Steps of the run, also those that are not known here: a large run is told with its first ones only. */
  stepCount = 0;
  private readonly stepsById = new Map<string, StepView>();

  /** The steps in the order of the graph. */
  get steps(): StepView[] {
    return [...this.stepsById.values()];
  }

  /** A step, or undefined when the run has no such step. */
  step(id: string): StepView | undefined {
    return this.stepsById.get(id);
  }

  /** Whether the run has steps that are not known here. */
  get isPartial(): boolean {
    return this.stepsById.size < this.stepCount;
  }

  /** Share of the steps that is done, as `Run.fraction` counts it. */
  get fraction(): number {
    const count = Math.max(this.stepCount, this.stepsById.size);
    let done = 0;
    for (const { state, fraction } of this.stepsById.values())
      done += IS_DONE.has(state) ? 1 : state === StepState.RUNNING ? fraction : 0;
    return count === 0 ? 0 : done / count;
  }

  /** Time that the run will still take, by the rule of `Run.eta`; undefined while that cannot be told. */
  get etaSeconds(): number | undefined {
    if (this.state !== RunState.RUNNING || this.isPartial) return undefined;
    let longest: number | undefined;
    for (const { state, etaSeconds } of this.stepsById.values()) {
      if (state === StepState.VALIDATING || isEnded(state)) continue;
      if (state !== StepState.RUNNING || etaSeconds === undefined) return undefined;
      longest = Math.max(longest ?? 0, etaSeconds);
    }
    return longest;
  }

  /** Takes in steps that the run was not told with. */
  addSteps(steps: readonly Step[]): void {
    for (const step of steps) this.applyStep(step);
  }

  /** Whether the run has ended. */
  get isFinal(): boolean {
    return isFinal(this.state);
  }

  /** Takes in one update. */
  apply(response: WatchRunResponse): void {
    const { update } = response;
    // A run that is told with its first steps only says nothing of the others: their events since are still to come.
    const isTruth = update.case !== 'run' || update.value.steps.length >= update.value.stepCount;
    if (response.revision > this.revision && (isTruth || this.revision === 0n))
      this.revision = response.revision;
    if (update.case === 'run') this.applyRun(update.value);
    else if (update.case === 'event') this.applyEvent(update.value);
    else if (update.case === 'progress') this.applyProgress(update.value);
  }

  private applyRun(run: Run): void {
    this.name = run.name;
    this.displayName = run.displayName;
    this.state = run.state;
    this.failure = run.failure?.message ?? '';
    this.stepCount = run.stepCount;
    this.createdAt = run.createTime && timestampDate(run.createTime);
    this.endedAt = run.endTime && timestampDate(run.endTime);
    for (const step of run.steps) this.applyStep(step);
  }

  private applyStep(step: Step): void {
    const id = step.spec?.id ?? '';
    const view = this.stepsById.get(id) ?? newStep(id, step.spec?.phase ?? '');
    const last = step.attempts[step.attempts.length - 1];
    const firstStart = step.attempts.find((attempt) => attempt.startTime)?.startTime;
    view.state = step.state;
    view.attempt = last?.number ?? 0;
    view.outcome = step.result?.outcome ?? '';
    view.fallback = step.fallback;
    view.failure = step.failure?.message ?? last?.failure?.message ?? '';
    view.startedAt = firstStart && timestampDate(firstStart);
    view.endedAt = isEnded(step.state) && last?.endTime ? timestampDate(last.endTime) : undefined;
    if (step.state === StepState.COMPLETED) view.fraction = 1;
    this.stepsById.set(id, view);
  }

  private applyProgress(progress: StepProgress): void {
    const step = this.stepsById.get(progress.stepId);
    if (!step) return;
    step.fraction = progress.fraction;
    step.etaSeconds = progress.eta ? Number(progress.eta.seconds) + progress.eta.nanos / 1e9 : undefined;
    if (progress.stage) step.stage = progress.stage;
    for (const point of progress.points) step.curves.add(point);
  }

  private applyEvent(event: RunEvent): void {
    const { payload } = event;
    const time = event.time ? timestampDate(event.time) : undefined;
    switch (payload.case) {
      case 'runCreated':
        this.state = RunState.PENDING;
        break;
      case 'runPaused':
        this.state = RunState.PAUSED;
        break;
      case 'runResumed':
        this.state = RunState.RUNNING;
        break;
      case 'runCancelRequested':
        this.state = RunState.CANCELLING;
        break;
      case 'runCompleted':
        this.end(RunState.COMPLETED, time);
        break;
      case 'runFailed':
        this.failure = payload.value.failure?.message ?? '';
        this.end(RunState.FAILED, time);
        break;
      case 'runCancelled':
        this.end(RunState.CANCELLED, time);
        break;
      case 'runRetried':
        this.retry(payload.value.stepIds);
        break;
      case 'stepsAdded':
        for (const spec of payload.value.steps) {
          if (!this.stepsById.has(spec.id)) this.stepsById.set(spec.id, newStep(spec.id, spec.phase));
        }
        break;
      default:
        this.applyStepEvent(event, time);
    }
  }

  private applyStepEvent({ payload }: RunEvent, time: Date | undefined): void {
    const value = payload.value;
    const step = value && 'stepId' in value ? this.stepsById.get(value.stepId) : undefined;
    if (!step) return;
    switch (payload.case) {
      case 'stepReady':
        step.state = StepState.READY;
        break;
      case 'stepScheduled':
        step.state = StepState.RUNNING;
        step.attempt = payload.value.number;
        if (this.state === RunState.PENDING) this.state = RunState.RUNNING;
        break;
      case 'stepStarted':
        step.state = StepState.RUNNING;
        step.startedAt ??= time;
        break;
      case 'stepReported':
        step.state = StepState.VALIDATING;
        step.fraction = 1;
        step.etaSeconds = undefined;
        step.outcome = payload.value.result?.outcome ?? '';
        break;
      case 'stepAttemptFailed':
        step.state = StepState.READY;
        step.failure = payload.value.failure?.message ?? '';
        break;
      case 'stepFallbackUsed':
        step.state = StepState.READY;
        step.fallback = payload.value.fallback;
        step.failure = payload.value.failure?.message ?? step.failure;
        break;
      case 'stepCompleted':
        this.endStep(step, StepState.COMPLETED, time);
        break;
      case 'stepCacheHit':
        step.fraction = 1;
        step.outcome = payload.value.result?.outcome ?? '';
        if (this.state === RunState.PENDING) this.state = RunState.RUNNING;
        this.endStep(step, StepState.COMPLETED, time);
        break;
      case 'stepFailed':
        step.failure = payload.value.failure?.message ?? step.failure;
        this.endStep(step, StepState.FAILED, time);
        break;
      case 'stepSkipped':
        this.endStep(step, StepState.SKIPPED, time);
        break;
      case 'stepBlocked':
        this.endStep(step, StepState.BLOCKED, time);
        break;
      case 'stepCancelled':
        this.endStep(step, StepState.CANCELLED, time);
        break;
      default:
        break;
    }
  }

  private end(state: RunState, time: Date | undefined): void {
    this.state = state;
    this.endedAt = time;
  }

  private endStep(step: StepView, state: StepState, time: Date | undefined): void {
    step.state = state;
    step.endedAt = time;
    step.etaSeconds = undefined;
  }

  private retry(stepIds: readonly string[]): void {
    this.state = RunState.RUNNING;
    this.endedAt = undefined;
    for (const id of stepIds) {
      const step = this.stepsById.get(id);
      if (step) Object.assign(step, newStep(id, step.phase));
    }
  }
}

function newStep(id: string, phase: string): StepView {
  return {
    id,
    phase,
    state: StepState.PENDING,
    attempt: 0,
    fraction: 0,
    etaSeconds: undefined,
    stage: '',
    outcome: '',
    failure: '',
    fallback: '',
    startedAt: undefined,
    endedAt: undefined,
    curves: new Curves(),
  };
}

/** States of steps whose work is done. */
const IS_DONE: ReadonlySet<StepState> = new Set([
  StepState.COMPLETED,
  StepState.SKIPPED,
  StepState.VALIDATING,
]);

function isEnded(state: StepState): boolean {
  return state >= StepState.COMPLETED;
}
