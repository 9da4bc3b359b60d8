import type { EngineClock } from '@agentforge/events';
import type { Logger, Metrics } from '@agentforge/telemetry';
import type { BreakerBoard } from '../ports/breaker-board.port.js';
import type { Capacity } from '../ports/capacity.port.js';
import type { Judge } from '../ports/judge.port.js';
import type { PhaseCatalog } from '../ports/phase-catalog.port.js';
import type { RunLog } from '../ports/run-log.port.js';
import type { StepResults } from '../ports/step-results.port.js';
import type { Workers } from '../ports/workers.port.js';
import type { Affinity } from './affinity.js';
import type { EffectivePolicy } from './cache/reuse-rules.js';

/** What the engine works with. */
export interface EnginePorts {
  readonly log: RunLog;
  readonly workers: Workers;
  readonly judge: Judge;
  readonly phases: PhaseCatalog;
  /** Results that steps may take over; absent: every step does its work. */
  readonly results?: StepResults;
  /** Absent: no phase is ever cut off. */
  readonly breakers?: BreakerBoard;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly capacity: Capacity;
  /** Time that all replicas share. Absent: that of the machine. */
  readonly clock?: Pick<EngineClock, 'nowMs'>;
  /** Which replica looks after which run. Absent: there is one replica. */
  readonly affinity?: Affinity;
}

/** The time of the engine, ms since 1970. */
export const engineTimeMs = ({ clock }: Pick<EnginePorts, 'clock'>): number => clock?.nowMs() ?? Date.now();

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
  /** Whether steps that do not say use the step cache. Absent: they do not. */
  readonly cachePolicy?: EffectivePolicy;
  /** Life of a lease that nobody renews. */
  readonly leaseMs: number;
  /** How long a request for resources may be passed by smaller ones. */
  readonly patienceMs: number;
  /** How long a run that has ended stays in memory. */
  readonly idleMs: number;
  /** Time between notes of the runs that go on. */
  readonly snapshotIntervalMs: number;
}
