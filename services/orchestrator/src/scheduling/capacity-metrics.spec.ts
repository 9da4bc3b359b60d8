import { WaitKind } from '@agentforge/contracts';
import type { LedgerEntry } from '@agentforge/events';
import { createMetrics } from '@agentforge/telemetry';
import type { Engine } from '../engine/engine.js';
import type { Capacity } from '../ports/capacity.port.js';
import { registerCapacityMetrics } from './capacity-metrics.js';

const amounts = (cpu: number, gpus = 0) => ({ cpu, memoryBytes: 100 * cpu, gpus, gpuMemoryBytes: 0 });
const lease = (pool: string, cpu: number) => ({ pool, ...amounts(cpu) }) as LedgerEntry;
const limits = { maxRunningRuns: 4, maxQueuedRuns: 0, maxRunningSteps: 10, maxArtifactBytes: 0, weight: 1 };
const USE: Readonly<Record<string, { running: number; queued: number; steps: number }>> = {
  a: { running: 1, queued: 7, steps: 9 },
  b: { running: 3, queued: 0, steps: 2 },
};

const capacity = {
  ledger: () => ({ entries: [lease('one', 1), lease('one', 2), lease('', 0)], revision: 1 }),
  pools: () => [
    { name: 'one', total: amounts(8, 1) },
    { name: 'two', total: amounts(2) },
  ],
  limited: () => ['a', 'b'].map((project) => [project, limits] as const),
} as unknown as Capacity;

const engine = {
  scheduler: { waitingByReason: () => new Map([[WaitKind.RESOURCES, 3]]) },
  census: {
    usageOf: (project: string) => {
      const { running = 0, queued = 0, steps = 0 } = USE[project] ?? {};
      return { running: { size: running }, queued: { size: queued }, steps };
    },
  },
} as unknown as Engine;

describe('registerCapacityMetrics()', () => {
  it('tells leases, what is free, who waits, and the largest share of a quota that any project uses', async () => {
    const metrics = createMetrics('test');
    registerCapacityMetrics(metrics, engine, capacity);
    const { text } = await metrics.expose();
    const lines = text.split('\n').filter((line) => line.startsWith('forge_'));
    expect(lines.map((line) => line.replace(',forge_service="test"', '')).sort()).toEqual([
      'forge_leases_held{kind="place"} 1',
      'forge_leases_held{kind="resources"} 2',
      'forge_quota_used_ratio{kind="queued_runs"} 0',
      'forge_quota_used_ratio{kind="running_runs"} 0.75',
      'forge_quota_used_ratio{kind="running_steps"} 0.9',
      'forge_resource_free{kind="cpu"} 7',
      'forge_resource_free{kind="gpu"} 1',
      'forge_resource_free{kind="memory"} 700',
      'forge_steps_waiting{reason="resources"} 3',
    ]);
  });
});
