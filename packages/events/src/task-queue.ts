import { FailureClass, type StepTask } from '@agentforge/contracts';
import type { StoredMsg, StreamAPI } from '@nats-io/jetstream';
import type { CheckpointIndex } from './checkpoint-index.js';
import { stepTaskCodec, TASK_VERSION } from './codec.js';
import { DEFAULT_TRIES, type DeliveryVerdict, judgeDelivery } from './deliveries.js';
import { AttemptOverError } from './events.errors.js';
import { letterSubjectOf } from './letter-subject.js';
import type { Reports } from './reports.js';
import { readServerTime } from './server-clock.js';
import type { Publisher } from './stream/publisher.js';
import type { Refusal, WorkContext } from './stream/received-message.js';
import { API_CODES, apiCodeOf, isMessageGone } from './stream/server-reply.js';
import { ensureTasksConsumer, type Topology } from './stream/topology.js';
import { type Consumption, type Delivery, WorkConsumer } from './stream/work-consumer.js';
import { STREAMS, taskSubject, tasksConsumer } from './subjects.js';

/** A task in the hands of a worker. */
export interface DeliveredTask extends Omit<Delivery<StepTask>, 'value'> {
  readonly task: StepTask;
}

/** How tasks are taken. */
export interface TaskConsumeOptions {
  /** Most tasks held at once; nothing is fetched ahead. Default 1. */
  readonly concurrency?: number;
  /** Silence after which a task is delivered to another worker, ms. Default: the topology's. */
  readonly ackWaitMs?: number;
  /** Whether in-progress acks are sent while a handler runs. Default true. */
  readonly keepAlive?: boolean;
  /** How often it is checked that waiting tasks do arrive, ms. Default 10,000. */
  readonly watchdogMs?: number;
  /** Workers that may die of a task, or tries that may throw, before it is given up; from its last checkpoint on. Default 5. */
  readonly tries?: number;
  /** Whether this worker has the task of an attempt already: delivered once more, it is no further worker's. Default: it never has. */
  readonly isExecuting?: (attemptId: string) => boolean;
}

/** Time a publication may take over reconnections. */
const PUBLISH_TIMEOUT_MS = 10_000;

/** Most tasks that are given up at once because nobody serves their phase. */
const MAX_UNCLAIMED = 1_000;

/** Tasks of all phases, one queue per phase; each task is one attempt of a step. */
export class TaskQueue {
  constructor(
    private readonly context: WorkContext,
    private readonly publisher: Publisher,
    private readonly topology: Topology,
    private readonly reports: Reports,
    private readonly checkpoints: CheckpointIndex,
  ) {}

  /**
   * Queues an attempt. An attempt that is in the queue, waiting or in the hands of a worker, is not queued again,
   * whoever publishes it and however long ago it was queued.
   * @throws EventLogUnavailableError  UNAVAILABLE: not confirmed in time; publish it again
   */
  async publish(task: StepTask): Promise<void> {
    try {
      await this.publisher.publish({
        stream: STREAMS.tasks,
        subject: taskSubject(task.phase, task.attemptId),
        data: stepTaskCodec.encode({ ...task, version: TASK_VERSION }),
        id: task.attemptId,
        expectedLastSequence: 0,
        timeoutMs: PUBLISH_TIMEOUT_MS,
      });
    } catch (error) {
      if (apiCodeOf(error) !== API_CODES.wrongLastSequence) throw error;
    }
  }

  /**
   * Makes sure that the queue of a phase has its consumer, so that what waits in it is known before any worker came.
   * One that exists stays as its workers want it.
   */
  async ensureQueue(phase: string): Promise<void> {
    await ensureTasksConsumer(this.context.connection, phase, this.topology.ackWaitMs, false);
  }

  /**
   * Takes tasks of a phase until stopped. A handler that ends without a word has done its task. A task that cannot be
   * processed, or of which workers die, becomes a dead letter, and the engine is told that its attempt failed.
   */
  async consume(
    phase: string,
    handler: (delivered: DeliveredTask) => Promise<void>,
    options: TaskConsumeOptions = {},
  ): Promise<Consumption> {
    const { concurrency = 1, ackWaitMs = this.topology.ackWaitMs, keepAlive = true, watchdogMs } = options;
    const { tries = DEFAULT_TRIES, isExecuting = () => false } = options;
    return WorkConsumer.start<StepTask>(this.context, {
      stream: STREAMS.tasks,
      consumer: tasksConsumer(phase),
      origin: 'tasks',
      ensure: () => ensureTasksConsumer(this.context.connection, phase, ackWaitMs),
      decode: (data) => stepTaskCodec.decode(data),
      handle: async ({ value: task, ...words }) => {
        const verdict = isExecuting(task.attemptId)
          ? 'run'
          : await this.begin(task, words.delivery, tries, ackWaitMs);
        if (verdict === 'poison') await words.term(poison(tries));
        else if (verdict === 'run') await handler({ task, ...words });
        else words.nak(verdict.waitMs);
      },
      isLastTry: async (task) => (await this.checkpoints.historyOf(task.attemptId)).begun >= tries,
      onLetter: ({ subject, header }, refusal, sequence) =>
        this.reportLetter({ subject, messageId: header('Nats-Msg-Id') }, refusal, sequence),
      concurrency,
      ackWaitMs,
      keepAlive,
      confirmsAcks: true,
      ...(watchdogMs === undefined ? {} : { watchdogMs }),
    });
  }

  /**
   * Gives up tasks of phases that nobody serves: no consumer would ever take them. Several replicas may do so at once.
   * @param isKnown       whether workers of a phase may come
   * @param olderThanMs   younger ones may belong to a phase that is just being installed
   * @returns how many were given up
   */
  async giveUpUnclaimed(isKnown: (phase: string) => boolean, olderThanMs: number): Promise<number> {
    const { streams } = this.context.connection.manager;
    if ((await this.countUnclaimed(isKnown)) <= 0) return 0;
    const { state } = await streams.info(STREAMS.tasks, { subjects_filter: 'forge.tasks.>' });
    const { serverMs } = await readServerTime(this.context.connection);
    let count = 0;
    for (const subject of Object.keys(state.subjects ?? {})) {
      const { phase } = letterSubjectOf(subject);
      for (let seq = 1; !isKnown(phase) && count < MAX_UNCLAIMED; count++) {
        const message = await nextOf(streams, subject, seq);
        if (!message) break;
        const ageMs = serverMs - message.time.getTime();
        if (ageMs < olderThanMs) break;
        await this.giveUp(message, phase, ageMs);
        seq = message.seq + 1;
      }
    }
    return count;
  }

  /** Tasks that belong to no consumer of a known phase: cheap, however many tasks wait. */
  private async countUnclaimed(isKnown: (phase: string) => boolean): Promise<number> {
    const { streams, consumers } = this.context.connection.manager;
    let claimed = 0;
    for await (const { config, num_pending, num_ack_pending } of consumers.list(STREAMS.tasks)) {
      if (isKnown(letterSubjectOf(config.filter_subject ?? '').phase))
        claimed += num_pending + num_ack_pending;
    }
    return (await streams.info(STREAMS.tasks)).state.messages - claimed;
  }

  private async giveUp(
    { subject, seq, data, header }: StoredMsg,
    phase: string,
    ageMs: number,
  ): Promise<void> {
    const messageId = header.get('Nats-Msg-Id') || undefined;
    const message = `no workers of a phase "${phase}" are installed; the task waited for ${Math.round(ageMs / 1_000)} s`;
    const letter = { origin: 'tasks', subject, data, sequence: seq, messageId };
    const kept = await this.context.deadLetters.put({ ...letter, reason: 'PHASE_UNKNOWN', message });
    const refusal = { reason: 'PHASE_UNKNOWN', message, isPermanent: true };
    await this.reportLetter({ subject, messageId }, refusal, kept);
    await this.context.connection.manager.streams
      .deleteMessage(STREAMS.tasks, seq)
      .catch((error: unknown) => {
        // another replica was faster
        if (!isMessageGone(error)) throw error;
      });
  }

  /**
   * What is to be done with a delivery; one that runs is counted first, unless it is the first. The task of an attempt
   * that has ended runs: its worker sees that, and says so.
   */
  private async begin(
    { attemptId }: StepTask,
    delivery: number,
    tries: number,
    ackWaitMs: number,
  ): Promise<DeliveryVerdict> {
    if (delivery === 1) return 'run';
    try {
      const history = await this.checkpoints.historyOf(attemptId);
      const verdict = judgeDelivery(delivery, history, tries, ackWaitMs);
      if (verdict === 'run') await this.checkpoints.begin(attemptId);
      return verdict;
    } catch (error) {
      if (error instanceof AttemptOverError) return 'run';
      throw error;
    }
  }

  /** Tells the engine, so that no step waits for ever for a task that nobody works on. */
  private async reportLetter(
    message: { readonly subject: string; readonly messageId: string | undefined },
    refusal: Refusal,
    sequence: number,
  ): Promise<void> {
    const about = letterSubjectOf(message.subject, message.messageId);
    if (about.attemptId === '') {
      this.context.logger?.warn('step.fenced', {
        subject: message.subject,
        sequence,
        reason: 'names no attempt',
      });
      return;
    }
    const { reason, message: words, isPermanent = false } = refusal;
    const isPoison = reason === POISON_TASK;
    await this.reports.publishLost(
      about,
      {
        code: isPoison ? 'ABORTED' : 'DATA_LOSS',
        reason: isPoison ? POISON_TASK : 'DEAD_LETTERED',
        message: `${isPoison ? '' : `${reason}: `}${words}; the task is kept as dead letter ${sequence}`,
        failureClass: isPermanent ? FailureClass.PERMANENT : FailureClass.TRANSIENT,
      },
      sequence,
    );
  }
}

const POISON_TASK = 'POISON_TASK';

/** Permanent: every worker that takes it up is lost to all other tasks. */
const poison = (tries: number): Refusal => ({
  reason: POISON_TASK,
  message: `${tries} workers died or fell silent while they worked on the task, without a checkpoint in between`,
  isPermanent: true,
});

/** The first message of a subject from a sequence on. */
async function nextOf(streams: StreamAPI, subject: string, seq: number): Promise<StoredMsg | null> {
  const query = { seq, next_by_subj: subject };
  try {
    return await streams.getMessage(STREAMS.tasks, query);
  } catch (error) {
    if (apiCodeOf(error) === API_CODES.messageNotFound) return null;
    throw error;
  }
}
