import type { Logger, Metrics } from '@agentforge/telemetry';
import type { Judge } from '../ports/judge.port.js';
import type { PhaseCatalog } from '../ports/phase-catalog.port.js';
import type { RunLog } from '../ports/run-log.port.js';
import type { Workers } from '../ports/workers.port.js';

/** What the engine works with. */
export interface EnginePorts {
  readonly log: RunLog;
  readonly workers: Workers;
  readonly judge: Judge;
  readonly phases: PhaseCatalog;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Numbers of the engine. */
export interface EngineOptions {
  /** Written into events: which replica decided. */
  readonly actor: string;
  readonly defaultParallelSteps: number;
  /** Silence after which another replica's run is looked after. */
  readonly takeoverMs: number;
  readonly sweepMs: number;
  /** Runs that have not ended, over all replicas. */
  readonly maxActiveRuns: number;
  /** How long a run that has ended stays in memory. */
  readonly idleMs: number;
}
