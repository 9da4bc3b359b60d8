import { WaitKind } from '@agentforge/contracts';
import type { Metrics } from '@agentforge/telemetry';
import type { Engine } from '../engine/engine.js';
import type { Capacity } from '../ports/capacity.port.js';
import { type Amounts, minus, NOTHING, plus } from './domain/resources.js';

/** Lets a scrape read what is leased, what is free, who waits and how much of their quotas projects use. */
export function registerCapacityMetrics(metrics: Metrics, engine: Engine, capacity: Capacity): void {
  metrics.gauge('leasesHeld').collect(() => {
    const { entries } = capacity.ledger();
    const places = entries.filter(({ pool }) => pool === '').length;
    return [
      { labels: { kind: 'resources' }, value: entries.length - places },
      { labels: { kind: 'place' }, value: places },
    ];
  });
  metrics.gauge('resourceFree').collect(() => {
    const free = capacity.pools().map(({ name, total }) => minus(total, leasedFrom(capacity, name)));
    const { cpu, memoryBytes, gpus } = free.reduce(plus, NOTHING);
    return [
      { labels: { kind: 'cpu' }, value: cpu },
      { labels: { kind: 'memory' }, value: memoryBytes },
      { labels: { kind: 'gpu' }, value: gpus },
    ];
  });
  metrics.gauge('stepsWaiting').collect(() =>
    [...engine.scheduler.waitingByReason()].map(([kind, value]) => ({
      labels: { reason: (WaitKind[kind] ?? '').toLowerCase() },
      value,
    })),
  );
  metrics.gauge('quotaUsed').collect(() => {
    const used = { running_runs: 0, queued_runs: 0, running_steps: 0 };
    for (const [project, limits] of capacity.limited()) {
      const { running, queued, steps } = engine.census.usageOf(project);
      used.running_runs = Math.max(used.running_runs, ratio(running.size, limits.maxRunningRuns));
      used.queued_runs = Math.max(used.queued_runs, ratio(queued.size, limits.maxQueuedRuns));
      used.running_steps = Math.max(used.running_steps, ratio(steps, limits.maxRunningSteps));
    }
    return Object.entries(used).map(([kind, value]) => ({ labels: { kind }, value }));
  });
}

/** What leases hold of a pool. */
export const leasedFrom = (capacity: Capacity, pool: string): Amounts =>
  capacity
    .ledger()
    .entries.filter((entry) => entry.pool === pool)
    .reduce(plus, NOTHING);

const ratio = (used: number, limit: number): number => (limit > 0 ? used / limit : 0);
