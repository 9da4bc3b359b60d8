import { randomUUID } from 'node:crypto';
import {
  type StepTask,
  StepTaskSchema,
  SubtaskOfferSchema,
  type SubtaskReply,
  SubtaskReplySchema,
  type SubtaskRequest,
} from '@agentforge/contracts';
import { type Events, MAX_MESSAGE_BYTES, MAX_SUBTASK_JSON, type SubtaskSession } from '@agentforge/events';
import type { Logger, Metrics } from '@agentforge/telemetry';
import { create, toBinary } from '@bufbuild/protobuf';
import type { RuntimeOptions } from '../host/runtime-options.js';
import { KeptAnswers } from './kept-answers.js';
import { type Redelivery, SubtaskBatch } from './subtask-batch.js';
import type { SpreadMessage, SpreadOrder, SpreadWord } from './subtask-messages.js';

/** How often an offer is repeated while something is open: replicas become free, or come later. */
const OFFER_EVERY_MS = 1_000;

/** How often it is looked whether somebody is silent or slow. */
const LOOK_EVERY_MS = 50;

/** What an offerer needs. */
export interface OffererDependencies {
  readonly phase: { readonly name: string; readonly version: string };
  readonly events: Pick<Events, 'answers' | 'subtasks'>;
  readonly options: Pick<RuntimeOptions, 'ackWaitMs' | 'backend' | 'keepsAnswers' | 'threads'>;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/**
 * The subtasks of one delivery of one attempt: told by its thread what there is to compute, it says who computes what,
 * the thread itself or replicas that ask. It is the queue: when it goes, the subtasks go, and nothing of them is left.
 */
export class SubtaskOfferer {
  private readonly session = randomUUID();
  private readonly kept: KeptAnswers;
  /** Answers of others that the thread has not judged yet. */
  private readonly unjudged = new Map<number, string>();
  private served: SubtaskSession | undefined;
  private batch: SubtaskBatch | undefined;
  private message: SpreadMessage | undefined;
  private isThreadIdle = false;
  private isClosed = false;
  private leases = 0;
  private offeredAtMs = Number.NEGATIVE_INFINITY;
  private spreadAtMs = 0;
  private taskBytes: number | undefined;
  private timer: NodeJS.Timeout | undefined;

  /**
   * @param task   the task of the step
   * @param tell   says something to the thread that works on it
   */
  constructor(
    private readonly deps: OffererDependencies,
    private readonly task: StepTask,
    private readonly tell: (order: SpreadOrder) => void,
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.kept = new KeptAnswers(deps, task);
  }

  /** Takes what the thread says. */
  receive(word: SpreadWord): void {
    switch (word.kind) {
      case 'spread':
        void this.spread(word);
        return;
      case 'withdrawn':
        this.withdraw();
        return;
      case 'computed':
        if (this.batch?.answerOwn(word.index, this.nowMs())) this.count('own', 'ok');
        this.keep(word.index, word.json);
        this.goOn(true);
        return;
      case 'accepted':
        this.keep(word.index, this.unjudged.get(word.index));
        return;
      case 'refused':
        this.batch?.reopen(word.index);
        this.goOn(false);
    }
  }

  /** Others stop at once; what is left is for the thread itself. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    clearInterval(this.timer);
    if (this.batch && !this.batch.isDone) this.offer(0);
    this.batch?.close();
    this.served?.close();
    this.goOn(false);
  }

  private async spread(message: SpreadMessage): Promise<void> {
    this.message = message;
    const recalled = await this.kept.recall(message.subtasks.map(({ key }) => key));
    // Withdrawn meanwhile.
    if (this.message !== message) return;
    this.spreadAtMs = this.nowMs();
    this.offeredAtMs = Number.NEGATIVE_INFINITY;
    const wanted = [...message.subtasks.entries()].filter(([index]) => !recalled.has(index));
    this.batch = new SubtaskBatch(
      wanted.map(([index, { json }]) => [index, !this.fits(json)]),
      () => ++this.leases,
      (reason, worker) => this.redelivered(reason, worker),
    );
    for (const [index, json] of recalled) {
      this.count('kept', 'ok');
      this.tell({ kind: 'answer', batch: message.batch, index, json });
    }
    if (this.isClosed) this.batch.close();
    else this.open();
    this.goOn(true);
  }

  private open(): void {
    const { phase, events } = this.deps;
    this.served ??= events.subtasks.serve(phase.name, this.session, (request) => this.answer(request));
    clearInterval(this.timer);
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  /** Whether a subtask fits into a message; one that does not is computed by the step's own thread. */
  private fits(json: string): boolean {
    this.taskBytes ??= toBinary(StepTaskSchema, this.task).length;
    return json.length <= MAX_SUBTASK_JSON && this.taskBytes + Buffer.byteLength(json) <= MAX_MESSAGE_BYTES;
  }

  private withdraw(): void {
    clearInterval(this.timer);
    if (this.batch && !this.batch.isDone && !this.isClosed) this.offer(0);
    this.batch = undefined;
    this.message = undefined;
    this.unjudged.clear();
    this.isThreadIdle = false;
  }

  /** @param isThreadIdle  the thread has just said something that ends its work on a subtask */
  private goOn(isThreadIdle: boolean): void {
    const { batch, message } = this;
    if (!batch || !message) return;
    this.isThreadIdle ||= isThreadIdle;
    if (this.isThreadIdle) {
      const index = batch.takeOwn(this.nowMs());
      if (index !== undefined) {
        this.isThreadIdle = false;
        this.waited();
        this.tell({ kind: 'compute', batch: message.batch, index });
      }
    }
    this.repeatOffer(batch);
  }

  private look(): void {
    this.batch?.expire(this.nowMs(), this.deps.options.ackWaitMs);
    this.goOn(false);
  }

  private repeatOffer(batch: SubtaskBatch): void {
    if (this.isClosed || batch.open === 0 || this.nowMs() - this.offeredAtMs < OFFER_EVERY_MS) return;
    this.offeredAtMs = this.nowMs();
    this.offer(batch.open);
  }

  private offer(open: number): void {
    const { phase, options, events } = this.deps;
    events.subtasks.offer(
      create(SubtaskOfferSchema, {
        phase: phase.name,
        phaseVersion: phase.version,
        backend: options.backend,
        threads: options.threads,
        session: this.session,
        open,
        memoryBytes: BigInt(Math.ceil(this.message?.memoryBytes ?? 0)),
        attemptId: this.task.attemptId,
      }),
    );
  }

  private answer({ worker, word }: SubtaskRequest): SubtaskReply {
    const { batch, message } = this;
    switch (word.case) {
      case 'claim':
        return this.grant(worker);
      case 'working':
        return reply(batch?.touch(Number(word.value), this.nowMs()) ? 'held' : 'gone');
      case 'returned':
        batch?.giveBack(Number(word.value.lease), word.value.failed ? 'failed' : 'returned');
        this.goOn(false);
        return reply('held');
      case 'answer': {
        const index = batch?.answer(Number(word.value.lease));
        this.count('other', index === undefined ? 'stale' : 'ok');
        if (index === undefined || !message) return reply('gone');
        this.unjudged.set(index, word.value.json);
        this.tell({ kind: 'answer', batch: message.batch, index, json: word.value.json });
        return reply('held');
      }
      default:
        return reply('gone');
    }
  }

  private grant(worker: string): SubtaskReply {
    const granted = this.batch?.grant(worker, this.nowMs());
    if (!granted) return reply('nothing');
    this.waited();
    const lease = BigInt(granted.lease);
    const json = this.message?.subtasks[granted.index]?.json ?? 'null';
    return create(SubtaskReplySchema, { word: { case: 'subtask', value: { lease, task: this.task, json } } });
  }

  private redelivered(reason: Redelivery, worker: string): void {
    const { phase, log, metrics } = this.deps;
    metrics.counter('subtaskRedeliveries').inc({ phase: phase.name, reason });
    if (reason !== 'slow') log.info('subtask.redelivered', { reason, workerId: worker });
  }

  private waited(): void {
    const { phase, metrics } = this.deps;
    const seconds = (this.nowMs() - this.spreadAtMs) / 1000;
    metrics.histogram('subtaskWait').observe({ phase: phase.name }, seconds);
  }

  private keep(index: number, json: string | undefined): void {
    if (json !== undefined) this.kept.keep(this.message?.subtasks[index]?.key, json);
  }

  private count(kind: 'own' | 'other' | 'kept', outcome: 'ok' | 'stale'): void {
    this.deps.metrics.counter('subtasks').inc({ phase: this.deps.phase.name, kind, outcome });
  }
}

function reply(word: 'nothing' | 'held' | 'gone'): SubtaskReply {
  return create(SubtaskReplySchema, { word: { case: word, value: {} } });
}
