import type { ExplainStepRequest, Run, WaitReason } from '@agentforge/contracts';
import { isTerminalRun } from '@agentforge/events';
import { Logger } from '@agentforge/telemetry';
import { Injectable } from '@nestjs/common';
import type { StepPage } from './answers.js';
import { EngineStatusPort } from './ports/engine-status.port.js';
import { checkRunName } from './queries.js';

/** What a run is told with that its log does not say. */
@Injectable()
export class RunAnnotations {
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

  /** Why the steps of a page wait, by step. The engine is asked only when one of them may. */
  async ofPage(run: string, { steps }: StepPage): Promise<ReadonlyMap<string, WaitReason[]>> {
    return steps.some(({ mayWait }) => mayWait) ? this.#waitsOf(run) : new Map();
  }

  async #waitsOf(run: string): Promise<ReadonlyMap<string, WaitReason[]>> {
    try {
      return await this.status.explainRun(run);
    } catch (error) {
      this.logger.debug('events.handler_failed', { runId: run, operation: 'explain', error });
      return new Map();
    }
  }
}
