import type { StepReport, StepTask, TaskDirective, TaskHeartbeat } from '@agentforge/contracts';
import type { Consumption, Events } from '@agentforge/events';
import { Workers } from '../ports/workers.port.js';

/** Reports in hand at once. */
const CONCURRENCY = 256;

/** Workers behind JetStream and core NATS. */
export class NatsWorkers extends Workers {
  readonly #queues = new Map<string, Promise<void>>();
  #reports: Consumption | undefined;
  #heartbeats: { stop(): Promise<void> }[] = [];

  constructor(
    private readonly events: Events,
    private readonly ackWaitMs: number,
  ) {
    super();
  }

  async dispatch(task: StepTask): Promise<void> {
    await this.#ensureQueue(task.phase);
    await this.events.tasks.publish(task);
  }

  direct(directive: TaskDirective): void {
    this.events.directives.push(directive);
  }

  forget(attemptId: string): Promise<void> {
    return this.events.checkpoints.end(attemptId);
  }

  async hasWorkers(phase: string): Promise<boolean> {
    const queue = await this.events.taskQueueReading(phase);
    return queue !== undefined && queue.pulls + queue.inFlight > 0;
  }

  async onReport(handler: (report: StepReport) => Promise<unknown>): Promise<void> {
    const { ackWaitMs } = this;
    this.#reports = await this.events.reports.consume(async ({ report }) => void (await handler(report)), {
      concurrency: CONCURRENCY,
      ackWaitMs,
      // The engine takes the inputs of a run in order, and decides those that wait together.
      isSerial: false,
    });
  }

  onHeartbeat(
    answer: (heartbeat: TaskHeartbeat) => Promise<TaskDirective>,
    observe: (heartbeat: TaskHeartbeat) => void,
  ): void {
    const { directives } = this.events;
    this.#heartbeats = [directives.answer(answer), directives.observe(observe)];
  }

  /** Asks once for each phase; once more when that failed. */
  #ensureQueue(phase: string): Promise<void> {
    const known = this.#queues.get(phase);
    if (known) return known;
    const ensuring = this.events.tasks.ensureQueue(phase);
    this.#queues.set(phase, ensuring);
    ensuring.catch(() => this.#queues.delete(phase));
    return ensuring;
  }

  async stop(): Promise<void> {
    await Promise.all([this.#reports?.stop(), ...this.#heartbeats.map((heartbeats) => heartbeats.stop())]);
  }
}
