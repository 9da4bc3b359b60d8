import { availableParallelism, hostname, totalmem } from 'node:os';
import type { Events, PoolAdvert } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import type { PhaseServiceConfig } from './phase-settings.js';

/** How often an advert is repeated; it counts for 15 s. */
const REPEAT_MS = 5_000;

/** What the host of a worker has for steps that lease resources. */
export function poolOf(phase: string, workerId: string, config: PhaseServiceConfig): PoolAdvert {
  return {
    pool: config.pool || hostname(),
    worker: workerId,
    phase,
    cpu: config.poolCpu || availableParallelism(),
    memoryBytes: poolMemoryBytes(config),
    gpus: config.poolGpus,
    gpuMemoryBytes: config.poolGpuMemoryBytes,
  };
}

/** Says again and again what a worker's host has; what is not repeated is not granted from. */
export class PoolAdvertiser {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly advert: PoolAdvert,
    private readonly log: Logger,
  ) {}

  async start(events: Events): Promise<void> {
    clearInterval(this.timer);
    this.timer = setInterval(() => void this.say(events), REPEAT_MS).unref();
    await this.say(events);
  }

  /** Takes the advert back: nothing is granted for this worker any more. */
  async stop(events: Events | undefined): Promise<void> {
    clearInterval(this.timer);
    await events?.capacity.retract(this.advert).catch(() => undefined);
  }

  private async say(events: Events): Promise<void> {
    try {
      await events.capacity.advertise(this.advert);
    } catch (error) {
      this.log.debug('events.handler_failed', { operation: 'advertise pool', error });
    }
  }
}

/** Memory that steps and subtasks may take: as set, else of the container if it has a limit, else of the host. */
export function poolMemoryBytes({ poolMemoryBytes }: Pick<PhaseServiceConfig, 'poolMemoryBytes'>): number {
  if (poolMemoryBytes > 0) return poolMemoryBytes;
  const limit = process.constrainedMemory?.() ?? 0;
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
