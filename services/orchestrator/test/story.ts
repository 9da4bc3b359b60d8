import {
  GraphSpecSchema,
  type RunEvent,
  type StepReport,
  StepReportSchema,
  StepSpecSchema,
} from '@agentforge/contracts';
import { foldRun, type RunRecord, stepOf } from '@agentforge/events';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { decide } from '../src/engine/decide.js';
import type { DecideContext, EngineInput } from '../src/engine/inputs.js';

/** Name of the run that stories are about. */
export const RUN = 'projects/p/runs/r';

type Payload = NonNullable<MessageInitShape<typeof StepReportSchema>['payload']>;
type StepInit = Omit<MessageInitShape<typeof StepSpecSchema>, '$typeName'>;

/** A run that is told as inputs to the pure engine: every decision is committed at once, and checked against the fold. */
export class Story {
  state: RunRecord | undefined;
  nowMs = 1_000_000;
  /** Every event, in order. */
  readonly log: RunEvent[] = [];
  /** Steps whose inputs were asked to be judged. */
  readonly checks: string[] = [];
  /** Steps about which the step cache was to be asked. */
  readonly cacheQuestions: string[] = [];
  /** Steps for which resources were to be asked for. */
  readonly leaseQuestions: string[] = [];
  /** What the engine knows otherwise than it would. */
  over: Partial<DecideContext> = {};
  readonly accepted = new Set<string>();
  readonly signs = new Map<string, number>();
  fallback = '';
  hasOutputs = false;
  #revision = 0n;

  /** A story whose run has these steps. */
  static of(steps: StepInit[], graph: MessageInitShape<typeof GraphSpecSchema> = {}): Story {
    const story = new Story();
    story.begin(steps, graph);
    return story;
  }

  /** Creates the run. */
  begin(steps: StepInit[], graph: MessageInitShape<typeof GraphSpecSchema> = {}): void {
    const specs = steps.map((step) => create(StepSpecSchema, { phase: 'noop', ...step }));
    this.tell({
      kind: 'create',
      displayName: 'story',
      labels: {},
      graph: create(GraphSpecSchema, { ...graph, steps: specs }),
      requestId: '',
      requestDigest: 'd',
    });
  }

  /** Decides and commits inputs; returns the names of the events. Throws what the first refused input was refused with. */
  tell(...inputs: EngineInput[]): string[] {
    const { transition, refusals } = decide(RUN, this.state, inputs, this.context());
    const { events } = transition;
    this.checks.push(...transition.checks);
    this.cacheQuestions.push(...transition.cacheQuestions);
    this.leaseQuestions.push(...transition.leaseQuestions);
    if (events.length > 0) {
      this.#revision += 1n;
      const folded = foldRun(this.state, { run: RUN, events }, this.#revision);
      if (folded.eventCount !== transition.state.eventCount) throw new Error('decision and fold disagree');
      this.state = folded;
      this.log.push(...events);
    }
    for (const refusal of refusals.values()) throw refusal;
    return events.map(nameOf);
  }

  tick(isThorough = false): string[] {
    return this.tell({ kind: 'tick', isThorough });
  }

  /** Time passes, then the engine looks for what is due. */
  wait(ms: number): string[] {
    this.nowMs += ms;
    return this.tick();
  }

  /** A report about the newest attempt of a step, unless it is told otherwise. */
  report(stepId: string, payload: Payload, over: Partial<StepReport> = {}): string[] {
    const attempt = this.step(stepId).attempts.at(-1);
    const report = create(StepReportSchema, {
      run: RUN,
      stepId,
      attemptId: attempt?.id ?? 'none',
      fencingToken: attempt?.fencingToken ?? 0n,
      worker: 'w1',
      payload,
    });
    return this.tell({ kind: 'report', report: { ...report, ...over } });
  }

  start(stepId: string, over: Partial<StepReport> = {}): string[] {
    return this.report(stepId, { case: 'started', value: { delivery: 1 } }, over);
  }

  succeed(stepId: string, over: Partial<StepReport> = {}): string[] {
    return this.report(stepId, { case: 'succeeded', value: { result: { outcome: 'done' } } }, over);
  }

  fail(stepId: string, failureClass = 1, over: Partial<StepReport> = {}): string[] {
    const failure = { code: 'INTERNAL', message: 'broken', reason: 'BROKEN', failureClass };
    return this.report(stepId, { case: 'failed', value: { failure } }, over);
  }

  step(stepId: string) {
    const step = this.state && stepOf(this.state, stepId);
    if (!step) throw new Error(`no step ${stepId}`);
    return step;
  }

  context(): DecideContext {
    return {
      nowMs: this.nowMs,
      actor: 'test',
      defaultParallelSteps: 64,
      waitingSinceMs: 0,
      fallbackOf: () => this.fallback,
      hasOutputsToJudge: () => this.hasOutputs,
      areInputsAccepted: (stepId) => this.accepted.has(stepId),
      checking: new Set(),
      lastSignMs: (attemptId) => this.signs.get(attemptId) ?? 0,
      ...this.over,
    };
  }
}

/** Name of an event with the step it is about: "stepReady a". */
export function nameOf({ payload }: RunEvent): string {
  const value: unknown = payload.value;
  const stepId = typeof value === 'object' && value !== null && 'stepId' in value ? ` ${value.stepId}` : '';
  return `${payload.case}${stepId}`;
}
