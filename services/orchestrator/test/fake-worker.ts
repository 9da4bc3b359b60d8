import { StepReportSchema, type StepTask, TaskAction, TaskHeartbeatSchema } from '@agentforge/contracts';
import type { Consumption, Events } from '@agentforge/events';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';

type Payload = NonNullable<MessageInitShape<typeof StepReportSchema>['payload']>;

/** An attempt in the hands of a fake worker. */
export interface Job {
  readonly task: StepTask;
  readonly delivery: number;
  readonly worker: string;
  /** What the orchestrator answered to the first heartbeat. */
  readonly directive: TaskAction | undefined;
  /** What the orchestrator pushed since. */
  readonly pushed: TaskAction[];
  report(payload: Payload, over?: Partial<Pick<StepTask, 'attemptId' | 'fencingToken'>>): Promise<void>;
  start(): Promise<void>;
  succeed(): Promise<void>;
  heartbeat(): Promise<TaskAction | undefined>;
}

/** A consumer of the task queue that does what a test tells it to do. */
export class FakeWorker {
  readonly jobs: Job[] = [];
  #consumption: Consumption | undefined;

  constructor(
    private readonly events: Events,
    readonly name: string,
    private readonly work: (job: Job) => Promise<void>,
  ) {}

  async start(phase = 'noop', concurrency = 16): Promise<this> {
    this.#consumption = await this.events.tasks.consume(
      phase,
      ({ task, delivery }) => this.#handle(task, delivery),
      { concurrency, ackWaitMs: 2_000 },
    );
    return this;
  }

  stop(): Promise<void> {
    return this.#consumption?.stop() ?? Promise.resolve();
  }

  async #handle(task: StepTask, delivery: number): Promise<void> {
    const { run, stepId, attemptId, fencingToken, phase } = task;
    const base = { run, stepId, attemptId, fencingToken, worker: this.name };
    const pushed: TaskAction[] = [];
    const watch = this.events.directives.watch(attemptId, ({ action }) => pushed.push(action));
    const heartbeat = async () =>
      (await this.events.directives.heartbeat(create(TaskHeartbeatSchema, base)))?.action;
    const directive = await heartbeat();
    let n = 0;
    const report = (payload: Payload, over = {}) =>
      this.events.reports.publish(
        phase,
        create(StepReportSchema, { ...base, time: timestampNow(), payload, ...over }),
        delivery * 1_000 + n++,
      );
    const job: Job = {
      task,
      delivery,
      worker: this.name,
      directive,
      pushed,
      report,
      start: () => report({ case: 'started', value: { delivery } }),
      succeed: () => report({ case: 'succeeded', value: { result: { outcome: 'done' } } }),
      heartbeat,
    };
    this.jobs.push(job);
    if (directive !== TaskAction.ABANDON) await this.work(job);
    watch.stop();
  }
}

/** Starts and succeeds at once. */
export const obedient = async (job: Job): Promise<void> => {
  await job.start();
  await job.succeed();
};
