import type {
  Breaker,
  ExplainExecutionStepResponse,
  GetProjectUsageResponse,
  Pool,
  WaitReason,
} from '@agentforge/contracts';

/** What only the engine knows besides the runs. Its errors are meant for callers and pass through. */
export abstract class EngineStatusPort {
  /** Why a step does not run, and what the step cache says. */
  abstract explainStep(
    run: string,
    stepId: string,
    includesCache: boolean,
  ): Promise<Pick<ExplainExecutionStepResponse, 'waits' | 'cache'>>;
  /** Why the steps of a run do not run, by step; only those that wait for more than other steps. */
  abstract explainRun(run: string): Promise<ReadonlyMap<string, WaitReason[]>>;
  /** What the runs of a project use. @param project  its id */
  abstract usageOf(project: string): Promise<GetProjectUsageResponse>;
  /** The breakers of phases that failed. */
  abstract breakers(): Promise<Breaker[]>;
  /** The pools that workers advertise. */
  abstract pools(): Promise<Pool[]>;
}
