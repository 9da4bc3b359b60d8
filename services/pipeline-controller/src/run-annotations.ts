import type { ExplainStepRequest, Run, WaitReason } from '@agentforge/contracts';
import { isTerminalRun } from '@agentforge/events';
import { Logger } from '@agentforge/telemetry';
import { Injectable } from '@nestjs/common';
import type { StepPage } from './answers.js';
import { EngineStatusPort } from './ports/engine-status.port.js';
import { checkRunName } from './queries.js';

/** Pages of a run that are asked for within this time, and show the same revision, share one answer of the engine. */
const SHARED_MS = 1_000;

/** Why steps wait, by step. */
type WaitsByStep = ReadonlyMap<string, WaitReason[]>;

/** What a run is told with that its log does not say. */
@Injectable()
export class RunAnnotations {
  #newest: { run: string; revision: bigint; atMs: number; waits: Promise<WaitsByStep> } | undefined;

  constructor(
    private readonly status: EngineStatusPort,
    private readonly logger: Logger,
  ) {}

  /** Why a step does not run. @throws NOT_FOUND, INVALID_ARGUMENT, UNAVAILABLE */
  explain({ run, stepId, includeCache }: ExplainStepRequest) {
    return this.status.explainStep(checkRunName(run, 'run'), stepId, includeCache);
  }

  /** Says of each step of a live run why it waits. Steps are shown without that while the engine cannot be asked. */
  async annotate(run: Run): Promise<Run> {
    if (isTerminalRun(run.state) || run.steps.length === 0) return run;
    const waits = await this.#waitsOf(run.name);
    for (const step of run.steps) step.waits = waits.get(step.spec?.id ?? '') ?? [];
    return run;
  }

  /** Why the steps of a page wait. The engine is asked only when one of them may, once for pages that follow each other. */
  async ofPage(run: string, { steps, revision }: StepPage, nowMs = performance.now()): Promise<WaitsByStep> {
    if (!steps.some(({ mayWait }) => mayWait)) return new Map();
    const newest = this.#newest;
    const isShared = newest?.run === run && newest.revision === revision && nowMs - newest.atMs < SHARED_MS;
    if (isShared) return newest.waits;
    const waits = this.#waitsOf(run);
    this.#newest = { run, revision, atMs: nowMs, waits };
    return waits;
  }

  async #waitsOf(run: string): Promise<WaitsByStep> {
    try {
      return await this.status.explainRun(run);
    } catch (error) {
      this.logger.debug('events.handler_failed', { runId: run, operation: 'explain', error });
      return new Map();
    }
  }
}
