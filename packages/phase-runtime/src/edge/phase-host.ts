import { hostname } from 'node:os';
import { connectEvents, type Events } from '@agentforge/events';
import { Drain, Readiness } from '@agentforge/service-kit';
import type { Logger, Metrics } from '@agentforge/telemetry';
import type { DeviceInfo } from '@agentforge/tensor';
import { checkConfig } from '../definition/config-check.js';
import { describePhase } from '../definition/descriptor.js';
import type { PhaseDefinition } from '../definition/phase-definition.js';
import { PhaseTasks } from '../host/phase-tasks.js';
import type { RuntimeOptions } from '../host/runtime-options.js';
import { openCompute } from './compute.js';
import type { PhaseServiceConfig } from './phase-settings.js';
import { PoolAdvertiser, poolMemoryBytes, poolOf } from './pool-advertiser.js';

/** How often the descriptor is written again, so that it survives a lost registry. */
const REGISTER_EVERY_MS = 60_000;

/** Beats that a worker may miss. */
const MISSED_BEATS = 3;
const MIN_ACK_WAIT_MS = 500;

/** Wait before a start that failed is tried again. */
const RESTART_MS = 2000;

/** What a phase host is made of. */
export interface PhaseHostParts {
  readonly phase: PhaseDefinition;
  readonly config: PhaseServiceConfig;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly drain: Drain;
}

/**
 * A replica of a phase service as a member of the system: connects to NATS and waits for it, registers the phase,
 * answers for its configurations, pulls tasks, and hands them back when the service drains. The service answers RPCs while NATS is away.
 */
export class PhaseHost {
  readonly tasks: PhaseTasks;
  readonly phase: PhaseDefinition;
  private readonly pool: PoolAdvertiser;
  private address: string;
  private events: Events | undefined;
  private timer: NodeJS.Timeout | undefined;
  private answering: { stop(): Promise<void> } | undefined;
  private readonly waiting = new AbortController();

  constructor(private readonly parts: PhaseHostParts) {
    const { phase, config, log, metrics } = parts;
    this.phase = phase;
    this.address = config.grpcPort === 0 ? '' : `${config.grpcHost}:${config.grpcPort}`;
    const options = runtimeOptions(config, openCompute(config, log, metrics));
    this.tasks = new PhaseTasks(phase, options, log, metrics);
    this.pool = new PoolAdvertiser(poolOf(phase.name, options.workerId, config), log);
  }

  /** Starts in the background; readiness follows the connection. */
  onApplicationBootstrap(): void {
    const { readiness, drain } = this.parts;
    readiness.report('nats', false, 'connecting');
    drain.on('stop-pulling', 'phase tasks', () => this.tasks.stopPulling());
    drain.on('stop-pulling', 'pool', () => this.pool.stop(this.events));
    drain.on('stop-pulling', 'config checks', async () => this.answering?.stop());
    drain.on('finish', 'phase tasks', () => this.tasks.release());
    drain.on('close', 'events', () => this.close());
    void this.keepStarting();
  }

  /** Says where this replica serves, once the port is known; the registry gets it at once. */
  announce(address: string): void {
    this.address = address;
    void this.register();
  }

  /** The descriptor of the phase as this replica registers it. */
  describe() {
    return describePhase(this.phase, this.address);
  }

  /** NATS may go away between connecting and consuming: begins anew until both have worked. */
  private async keepStarting(): Promise<void> {
    while (!this.waiting.signal.aborted) {
      try {
        return await this.start();
      } catch (error) {
        if (this.waiting.signal.aborted) return;
        this.parts.log.error('events.disconnected', { error });
        await this.events?.close().catch(() => undefined);
        this.events = undefined;
        await new Promise((resolve) => setTimeout(resolve, RESTART_MS).unref());
      }
    }
  }

  private async start(): Promise<void> {
    const { config, log, metrics, readiness, phase } = this.parts;
    this.events = await connectEvents({
      servers: [...config.natsUrl],
      name: `phase-${phase.name}`,
      logger: log,
      metrics,
      signal: this.waiting.signal,
      onStatus: (status) => readiness.report('nats', status === 'connected', status),
    });
    // Before the phase is known: whoever knows it may ask.
    this.answering = this.events.configChecks.answer(phase, (asked) => {
      const check = checkConfig(phase, asked);
      return check.isValid ? [] : check.violations;
    });
    await this.register();
    clearInterval(this.timer);
    this.timer = setInterval(() => void this.register(), REGISTER_EVERY_MS).unref();
    await this.tasks.start(this.events);
    await this.pool.start(this.events);
    readiness.report('nats', true);
  }

  private async register(): Promise<void> {
    try {
      await this.events?.phases.put(this.describe());
    } catch (error) {
      this.parts.log.warn('events.handler_failed', { error, operation: 'register phase' });
    }
  }

  private async close(): Promise<void> {
    clearInterval(this.timer);
    this.waiting.abort();
    await this.events?.close();
  }
}

/** A worker that misses three beats loses its task. */
function ackWaitOf({ ackWaitMs, heartbeatMs }: PhaseServiceConfig): number {
  return ackWaitMs === 0 ? Math.max(MISSED_BEATS * heartbeatMs, MIN_ACK_WAIT_MS) : ackWaitMs;
}

function runtimeOptions(config: PhaseServiceConfig, { device, isa }: DeviceInfo): RuntimeOptions {
  return {
    device,
    backend: `${device}-${isa}`,
    subtaskConcurrency: Math.min(config.subtaskConcurrency, config.concurrency),
    keepsAnswers: config.subtaskCache === 'on',
    subtaskMemoryBytes: config.subtaskMemoryBytes || poolMemoryBytes(config) / config.concurrency,
    workerId: config.workerId || `${hostname()}-${process.pid}`,
    artifactDirectory: config.artifactDir,
    concurrency: config.concurrency,
    threads: config.computeThreads,
    heartbeatMs: config.heartbeatMs,
    checkpointIntervalMs: config.checkpointIntervalMs,
    grace: { abortMs: config.cancelGraceMs, releaseMs: config.releaseGraceMs },
    tasksPerThread: config.tasksPerThread,
    ackWaitMs: ackWaitOf(config),
  };
}
