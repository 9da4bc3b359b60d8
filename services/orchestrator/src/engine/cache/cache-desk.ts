import { CachePolicy, parseRunName, type RunEvent } from '@agentforge/contracts';
import { type RunRecord, type StepRecord, stepOf } from '@agentforge/events';
import type { StepResults } from '../../ports/step-results.port.js';
import type { CacheAnswer } from '../admission/cache.js';
import type { EnginePorts } from '../engine-ports.js';
import type { EngineInput } from '../inputs.js';
import {
  artifactsOf,
  type EffectivePolicy,
  isOwn,
  isWorthKeeping,
  notReusable,
  policyOf,
} from './reuse-rules.js';
import { factsOf, keyOf } from './work-facts.js';

const MISS: CacheAnswer = { kind: 'miss' };

/** What came of a question: labels of a metric. */
type Outcome = 'hit' | 'miss' | 'own' | 'artifacts_gone' | 'error';

/**
 * What one replica asks the step cache for one run, what it was told, and what it gives to it. All of it can be lost:
 * a question that was forgotten is asked again, a result that was not kept is worked for again.
 */
export class CacheDesk {
  readonly #answers = new Map<string, CacheAnswer>();
  /** Grows when the answers become worthless; what comes after it for a question from before is dropped. */
  #era = 0;

  /**
   * @param checking  steps about which somebody was asked; they hold slots
   * @param standard  policy of steps that do not say
   */
  constructor(
    private readonly run: string,
    private readonly ports: EnginePorts,
    private readonly standard: EffectivePolicy,
    private readonly checking: Set<string>,
    private readonly tell: (input: EngineInput) => void,
  ) {}

  /** What is known about a READY step. A step that may not take a result is a miss without a question. */
  answerOf(step: StepRecord): CacheAnswer {
    const mayRead =
      policyOf(step, this.standard) === CachePolicy.READ_WRITE &&
      notReusable(this.ports.phases.get(step.spec.phase)) === undefined;
    return mayRead ? (this.#answers.get(step.spec.id) ?? { kind: 'unasked' }) : MISS;
  }

  /** Asks about a READY step; the answer comes with an input that has it decided again. */
  ask(state: RunRecord, stepId: string): void {
    const step = stepOf(state, stepId);
    const { results } = this.ports;
    if (!step || !results || this.checking.has(stepId)) return;
    const era = this.#era;
    this.checking.add(stepId);
    this.#answers.set(stepId, { kind: 'asking' });
    this.#lookUp(results, state, step).then(({ answer, outcome }) => {
      this.ports.metrics.counter('cacheLookups').inc({ phase: step.spec.phase, outcome });
      this.checking.delete(stepId);
      if (era === this.#era) this.#answers.set(stepId, answer);
      else this.#answers.delete(stepId);
      this.tell({ kind: 'cache-answered', stepId });
    });
  }

  /** Forgets answers that committed events made worthless, whoever decided them. */
  remember({ payload }: RunEvent): void {
    switch (payload.case) {
      case 'stepCacheHit':
      case 'stepScheduled':
      case 'stepCancelled':
      case 'stepFailed':
        this.#answers.delete(payload.value.stepId);
        return;
      case 'runCompleted':
      case 'runFailed':
      case 'runCancelled':
      case 'runRetried':
        this.#era++;
        this.#answers.clear();
        return;
      default:
    }
  }

  /** Keeps the result of a step that this replica completed. */
  perform({ payload }: RunEvent, state: RunRecord): void {
    if (payload.case !== 'stepCompleted') return;
    const step = stepOf(state, payload.value.stepId);
    const { results, phases, logger } = this.ports;
    const phase = step && phases.get(step.spec.phase);
    if (!step?.result || !phase || !results || !isWorthKeeping(step, phase, this.standard)) return;
    const facts = factsOf(state, step, phase.version);
    results
      .keep({
        project: projectOf(this.run),
        key: keyOf(facts),
        phase: phase.name,
        facts: { ...facts, inputs: { ...facts.inputs } },
        result: step.result,
        sourceRun: this.run,
        sourceStepId: step.spec.id,
      })
      .catch((error: unknown) =>
        logger.warn('events.handler_failed', {
          runId: this.run,
          stepId: step.spec.id,
          operation: 'keep result',
          error,
        }),
      );
  }

  async #lookUp(
    results: StepResults,
    state: RunRecord,
    step: StepRecord,
  ): Promise<{ readonly answer: CacheAnswer; readonly outcome: Outcome }> {
    const miss = (outcome: Outcome) => ({ answer: MISS, outcome });
    const stepId = step.spec.id;
    try {
      const version = this.ports.phases.get(step.spec.phase)?.version ?? '';
      const key = keyOf(factsOf(state, step, version));
      const found = await results.find(projectOf(this.run), key);
      if (found === undefined) return miss('miss');
      if (isOwn(found, this.run, stepId)) return miss('own');
      const missing = await results.missing(artifactsOf(found.result));
      if (missing.length > 0) return miss('artifacts_gone');
      const { result, sourceRun, sourceStepId } = found;
      return { answer: { kind: 'hit', key, result, sourceRun, sourceStepId }, outcome: 'hit' };
    } catch (error) {
      this.ports.logger.warn('events.handler_failed', {
        runId: this.run,
        stepId,
        operation: 'ask step cache',
        error,
      });
      return miss('error');
    }
  }
}

const projectOf = (run: string): string => parseRunName(run)?.project ?? '';
