import { randomUUID } from 'node:crypto';
import { type RunEvent, RunEventBatchSchema, type RunEventSchema } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { type Logger, type Metrics, withSpan } from '@agentforge/telemetry';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { JetStreamApiError } from '@nats-io/jetstream';
import { runEventBatchCodec } from './codec.js';
import type { DeadLetters } from './dead-letters.js';
import { BatchTooLargeError, CorruptEventLogError, RevisionConflictError } from './events.errors.js';
import { foldRun } from './fold/fold-run.js';
import type { RunRecord } from './fold/run-record.js';
import type { Connection } from './stream/connection.js';
import { MAX_MESSAGE_BYTES, type Publisher } from './stream/publisher.js';
import { readMessages, tailMessages } from './stream/read-messages.js';
import { API_CODES, apiCodeOf } from './stream/server-reply.js';
import type { StreamMessage } from './stream/stream-message.js';
import { runOfSubject, runSubject, STREAMS } from './subjects.js';

/** Events of one run that were committed together. */
export interface RunBatch {
  readonly run: string;
  /** Revision of the run after this batch; grows over the whole log. */
  readonly revision: bigint;
  readonly events: RunEvent[];
  /** When it was committed. */
  readonly time: Date;
  /** Batches behind it when it was delivered. */
  readonly pending: number;
}

/** A run event as code writes it. */
export type RunEventInit = MessageInitShape<typeof RunEventSchema>;

/** Time an append may take over reconnections. */
const APPEND_TIMEOUT_MS = 10_000;

/**
 * The event log of all runs. What is appended is there for good; an append that names an old
 * revision is refused, so a transition commits once, whoever races.
 */
export class RunLog {
  constructor(
    private readonly connection: Connection,
    private readonly publisher: Publisher,
    private readonly deadLetters: DeadLetters,
    private readonly logger: Logger | undefined,
    private readonly metrics: Metrics | undefined,
  ) {}

  /**
   * Commits events together.
   * @param expectedRevision  revision the events were decided on; 0n when the run must not exist
   * @returns the run's new revision
   * @throws RevisionConflictError  ABORTED: the run is at another revision; nothing is committed
   * @throws BatchTooLargeError  RESOURCE_EXHAUSTED: nothing is committed; split the batch
   * @throws EventLogUnavailableError  UNAVAILABLE: not confirmed in time; load the run to see what it is
   */
  async append(
    run: string,
    events: readonly RunEventInit[],
    expectedRevision: bigint,
    options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
  ): Promise<bigint> {
    const subject = runSubject(run);
    const data = runEventBatchCodec.encode(create(RunEventBatchSchema, { run, events: [...events] }));
    if (data.length > MAX_MESSAGE_BYTES) throw new BatchTooLargeError(run, data.length, MAX_MESSAGE_BYTES);
    const publication = {
      stream: STREAMS.runs,
      subject,
      data,
      id: randomUUID(),
      expectedLastSequence: Number(expectedRevision),
      timeoutMs: options.timeoutMs ?? APPEND_TIMEOUT_MS,
      signal: options.signal,
    };
    const revision = await withSpan('events.append', { runId: run, count: events.length }, async () => {
      try {
        return BigInt((await this.publisher.publish(publication)).seq);
      } catch (error) {
        if (apiCodeOf(error) !== API_CODES.wrongLastSequence) throw error;
        return this.resolveConflict(run, publication.id, expectedRevision, error);
      }
    });
    this.countAppended(events);
    return revision;
  }

  /** Revision of a run as committed now; 0n when there is no such run. */
  async revisionOf(run: string): Promise<bigint> {
    const last = await this.lastMessage(runSubject(run));
    return BigInt(last?.seq ?? 0);
  }

  /**
   * All batches of a run after a revision, at least those committed before the call.
   * @throws CorruptEventLogError  DATA_LOSS: a message of the log is unreadable
   */
  async read(
    run: string,
    options: { readonly afterRevision?: bigint; readonly signal?: AbortSignal } = {},
  ): Promise<RunBatch[]> {
    const { afterRevision = 0n, signal } = options;
    const last = await this.revisionOf(run);
    const batches: RunBatch[] = [];
    if (last <= afterRevision) return batches;
    for await (const message of readMessages(this.connection, {
      stream: STREAMS.runs,
      filter: runSubject(run),
      startSequence: Number(afterRevision) + 1,
      untilSequence: Number(last),
      signal,
    })) {
      try {
        batches.push(toRunBatch(message));
      } catch (error) {
        throw new CorruptEventLogError(run, BigInt(message.sequence), error);
      }
    }
    return batches;
  }

  /** The state of a run, folded from its log; undefined when there is no such run. */
  async load(run: string, options: { readonly signal?: AbortSignal } = {}): Promise<RunRecord | undefined> {
    let state: RunRecord | undefined;
    for (const batch of await this.read(run, options)) state = foldRun(state, batch, batch.revision);
    return state;
  }

  /** Batches of all runs after a sequence, in commit order, without end and without a gap. */
  tail(
    options: {
      readonly afterSequence?: bigint;
      readonly signal?: AbortSignal;
      readonly onCaughtUp?: () => void;
    } = {},
  ): AsyncIterable<RunBatch> {
    return this.follow('forge.runs.*.*', options.afterSequence ?? 0n, options);
  }

  /** Batches of one run after a revision, without end and without a gap. */
  tailRun(
    run: string,
    options: {
      readonly afterRevision?: bigint;
      readonly signal?: AbortSignal;
      readonly onCaughtUp?: () => void;
    } = {},
  ): AsyncIterable<RunBatch> {
    return this.follow(runSubject(run), options.afterRevision ?? 0n, options);
  }

  private async *follow(
    filter: string,
    after: bigint,
    options: { readonly signal?: AbortSignal; readonly onCaughtUp?: () => void },
  ): AsyncGenerator<RunBatch, void, undefined> {
    const messages = tailMessages(this.connection, {
      stream: STREAMS.runs,
      filter,
      startSequence: Number(after) + 1,
      signal: options.signal,
      onCaughtUp: options.onCaughtUp,
      logger: this.logger,
    });
    for await (const message of messages) {
      let batch: RunBatch;
      try {
        batch = toRunBatch(message);
      } catch (error) {
        await this.putAside(message, error);
        continue;
      }
      yield batch;
    }
  }

  /** The batch may be ours from an earlier try whose acknowledgement was lost. */
  private async resolveConflict(run: string, id: string, expected: bigint, error: unknown): Promise<bigint> {
    const last = await this.lastMessage(runSubject(run));
    if (last && last.header.get('Nats-Msg-Id') === id) return BigInt(last.seq);
    const told = error instanceof JetStreamApiError ? /(\d+)\s*$/.exec(error.message)?.[1] : undefined;
    const actual = last ? BigInt(last.seq) : told === undefined ? undefined : BigInt(told);
    this.logger?.debug('events.conflict', { runId: run, revision: expected });
    this.metrics?.counter('eventsAppended').inc({ kind: 'batch', outcome: 'conflict' });
    throw new RevisionConflictError(run, expected, actual);
  }

  private lastMessage(subject: string) {
    return this.connection.manager.streams
      .getMessage(STREAMS.runs, { last_by_subj: subject })
      .catch((error: unknown) => {
        if (apiCodeOf(error) === API_CODES.messageNotFound) return null;
        throw error;
      });
  }

  private async putAside(message: StreamMessage, error: unknown): Promise<void> {
    const { subject, data, sequence } = message;
    this.logger?.error('events.handler_failed', { stream: STREAMS.runs, subject, sequence, error });
    const { reason = 'MALFORMED_MESSAGE', message: words } = AppError.from(error);
    await this.deadLetters.put({ origin: 'runs', subject, data, reason, message: words, sequence });
  }

  private countAppended(events: readonly RunEventInit[]): void {
    const counter = this.metrics?.counter('eventsAppended');
    for (const { payload } of events) counter?.inc({ kind: payload?.case ?? 'unknown', outcome: 'ok' });
  }
}

function toRunBatch(message: StreamMessage): RunBatch {
  const batch = runEventBatchCodec.decode(message.data);
  const run = runOfSubject(message.subject);
  if (batch.run !== run) throw new TypeError(`batch of ${batch.run} on the subject of ${run}`);
  return {
    run,
    revision: BigInt(message.sequence),
    events: batch.events,
    time: message.time,
    pending: message.pending,
  };
}
