import {
  type Subtask,
  type SubtaskOffer,
  type SubtaskRequest,
  SubtaskRequestSchema,
} from '@agentforge/contracts';
import { type Events, MAX_ANSWER_JSON } from '@agentforge/events';
import type { Logger, Metrics } from '@agentforge/telemetry';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { PhaseDefinition } from '../definition/phase-definition.js';
import type { RuntimeOptions } from '../host/runtime-options.js';
import { checkTask } from '../host/task-check.js';
import type { ThreadPool } from '../host/thread-pool.js';
import { toAppError } from '../worker/system-error.js';
import { HelpThread } from './help-thread.js';
import type { SubtaskEnd } from './subtask-messages.js';

/** Most sessions that are known at once; the one that was offered first is forgotten. */
const MAX_SESSIONS = 64;

/** Time a thread that has helped waits for more, with what it has loaded, ms. */
const LINGER_MS = 20_000;

/** Times that an answer is sent while nobody confirms it, and the wait between them. */
const ANSWER_TRIES = 3;
const ANSWER_RETRY_MS = 200;

type Word = NonNullable<MessageInitShape<typeof SubtaskRequestSchema>['word']>;

/** What a helper needs. */
export interface HelperDependencies {
  readonly phase: PhaseDefinition;
  readonly options: RuntimeOptions;
  readonly threads: ThreadPool;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Tasks that this worker executes. */
  tasks(): number;
}

/**
 * Helps other workers of the phase while there are threads without a task: hears what they offer, asks for one subtask
 * after another, computes it, and answers. A task of this worker's own has precedence: help ends, and what was being
 * computed goes back.
 */
export class SubtaskHelper {
  private readonly offers = new Map<string, SubtaskOffer>();
  private readonly helps = new Set<Help>();
  private hearing: { stop(): void } | undefined;
  private events: Events | undefined;

  constructor(private readonly deps: HelperDependencies) {}

  /** Begins to listen. */
  start(events: Events): void {
    const { phase, options } = this.deps;
    this.events = events;
    this.hearing?.stop();
    if (options.subtaskConcurrency > 0)
      this.hearing = events.subtasks.hear(phase.name, (offer) => this.hear(offer));
  }

  /** Takes nothing more, gives back what is being computed, and resolves when that is done. */
  async stop(): Promise<void> {
    this.hearing?.stop();
    this.hearing = undefined;
    this.offers.clear();
    await Promise.all([...this.helps].map((help) => help.stop()));
  }

  /** Ends help until the tasks of this worker have as many threads as they may; resolves when they do. */
  async makeRoom(): Promise<void> {
    const { options, tasks } = this.deps;
    const surplus = tasks() + this.helps.size - options.concurrency;
    if (surplus <= 0) return;
    await Promise.all([...this.helps].slice(0, surplus).map((help) => help.stop()));
  }

  private hear(offer: SubtaskOffer): void {
    const { session, open } = offer;
    this.offers.delete(session);
    if (open === 0) {
      for (const help of this.helps) help.withdrawn(session);
      return;
    }
    if (!this.fits(offer)) return;
    this.offers.set(session, offer);
    const [oldest] = this.offers.keys();
    if (this.offers.size > MAX_SESSIONS && oldest !== undefined) this.offers.delete(oldest);
    for (const help of this.helps) help.wake();
    this.startHelp();
  }

  private fits({ phaseVersion, backend, threads, memoryBytes }: SubtaskOffer): boolean {
    const { phase, options } = this.deps;
    return (
      phaseVersion === phase.version &&
      backend === options.backend &&
      threads === options.threads &&
      Number(memoryBytes) <= options.subtaskMemoryBytes
    );
  }

  private startHelp(): void {
    const { options, tasks } = this.deps;
    if (!this.events || !this.hearing || this.helps.size >= options.subtaskConcurrency) return;
    if (tasks() + this.helps.size >= options.concurrency) return;
    const help = new Help(this.deps, this.events, this.offers, () => this.show());
    this.helps.add(help);
    void help.ended.finally(() => this.helps.delete(help));
  }

  private show(): void {
    const inFlight = [...this.helps].filter(({ isBusy }) => isBusy).length;
    this.deps.metrics.gauge('subtasksInFlight').set({ phase: this.deps.phase.name }, inFlight);
  }
}

/** One thread that helps, from its first subtask until it has waited in vain for a while. */
class Help {
  readonly ended: Promise<void>;
  private readonly thread: HelpThread;
  private session: string | undefined;
  private isStopping = false;
  private notify: (() => void) | undefined;

  constructor(
    private readonly deps: HelperDependencies,
    private readonly events: Events,
    private readonly offers: Map<string, SubtaskOffer>,
    private readonly onBusy: () => void,
  ) {
    this.thread = new HelpThread(deps.threads, deps.options.grace.abortMs);
    this.ended = this.run()
      .catch((error: unknown) => deps.log.warn('events.handler_failed', { operation: 'help', error }))
      .finally(() => this.thread.close());
  }

  /** Whether it has a subtask. */
  get isBusy(): boolean {
    return this.session !== undefined;
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    this.thread.stop();
    this.wake();
    await this.ended;
  }

  /** Nothing of a session is wanted any more. */
  withdrawn(session: string): void {
    if (this.session === session) this.thread.stop();
  }

  /** There is something to ask for. */
  wake(): void {
    this.notify?.();
  }

  private async run(): Promise<void> {
    while (!this.isStopping) {
      const [session] = this.offers.keys();
      if (session === undefined) {
        if (!(await this.offered())) return;
        continue;
      }
      const reply = await this.ask(session, { case: 'claim', value: {} });
      if (reply === undefined || reply === 'nobody' || reply.word.case !== 'subtask')
        this.offers.delete(session);
      else await this.help(session, reply.word.value);
    }
  }

  /** Waits for an offer. @returns whether there is one */
  private async offered(): Promise<boolean> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LINGER_MS).unref();
      this.notify = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.notify = undefined;
    return this.offers.size > 0;
  }

  private async help(session: string, subtask: Subtask): Promise<void> {
    const { options } = this.deps;
    const { lease } = subtask;
    this.session = session;
    this.onBusy();
    const heart = setInterval(() => void this.beat(session, lease), options.heartbeatMs);
    try {
      const end = this.isStopping ? { kind: 'stopped' as const } : await this.compute(subtask);
      await this.settle(session, lease, end);
    } finally {
      clearInterval(heart);
      this.session = undefined;
      this.onBusy();
    }
  }

  private async compute({ task, json }: Subtask): Promise<SubtaskEnd> {
    const { phase, options, log } = this.deps;
    if (!task) return { kind: 'stopped' };
    const { run: runId, stepId, attemptId } = task;
    try {
      const config = checkTask(phase, task);
      log.debug('subtask.helping', { runId, stepId, attemptId });
      const end = await this.thread.compute({
        config,
        seed: task.seed,
        inputs: task.inputs.map(({ port, artifacts }) => ({ port, artifacts })),
        artifactDirectory: options.artifactDirectory,
        device: options.device,
        threads: options.threads,
        json,
      });
      if (end.kind === 'failed')
        log.warn('subtask.failed', {
          runId,
          stepId,
          attemptId,
          code: end.error.code,
          message: end.error.message,
        });
      return end;
    } catch (error) {
      const { code, message } = toAppError(error);
      log.warn('subtask.failed', { runId, stepId, attemptId, code, message });
      return {
        kind: 'failed',
        error: { name: 'Error', code, message, reason: undefined, fieldViolations: [], stack: undefined },
      };
    }
  }

  private async settle(session: string, lease: bigint, end: SubtaskEnd): Promise<void> {
    const isAnswer = end.kind === 'computed' && end.json.length <= MAX_ANSWER_JSON;
    const word: Word = isAnswer
      ? { case: 'answer', value: { lease, json: end.json } }
      : { case: 'returned', value: { lease, failed: end.kind !== 'stopped' } };
    for (let tries = 1; ; tries++) {
      const reply = await this.ask(session, word);
      if (reply !== undefined || tries === ANSWER_TRIES) {
        const isTaken = typeof reply === 'object' && reply.word.case === 'held';
        return this.count(
          isAnswer ? (isTaken ? 'ok' : 'stale') : end.kind === 'stopped' ? 'stopped' : 'failed',
        );
      }
      await new Promise((resolve) => setTimeout(resolve, ANSWER_RETRY_MS));
    }
  }

  /** Says that the subtask is being computed; stops when it is not wanted any more. */
  private async beat(session: string, lease: bigint): Promise<void> {
    const reply = await this.ask(session, { case: 'working', value: lease });
    const isOver = reply === 'nobody' || (reply !== undefined && reply.word.case === 'gone');
    if (isOver && this.session === session) this.thread.stop();
  }

  private ask(session: string, word: Word) {
    const { phase, options } = this.deps;
    const request: SubtaskRequest = create(SubtaskRequestSchema, { session, worker: options.workerId, word });
    return this.events.subtasks.ask(phase.name, request);
  }

  private count(outcome: 'ok' | 'stale' | 'stopped' | 'failed'): void {
    const { phase, metrics } = this.deps;
    metrics.counter('subtasks').inc({ phase: phase.name, kind: 'helped', outcome });
  }
}
