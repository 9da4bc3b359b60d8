import { randomUUID } from 'node:crypto';
import { type RunEvent, RunEventBatchSchema, type RunEventSchema } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { type Logger, type Metrics, withSpan } from '@agentforge/telemetry';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import { EVENTS_VERSION, runEventBatchCodec } from './codec.js';
import type { DeadLetters } from './dead-letters.js';
import {
  BatchTooLargeError,
  CorruptEventLogError,
  NewerEventsError,
  RevisionConflictError,
} from './events.errors.js';
import { followRun } from './fold/follow-run.js';
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
  /** Revision of the run before it; absent when its writer did not say. */
  readonly previousRevision?: bigint;
  /** Bytes that it takes in the log. */
  readonly sizeBytes?: number;
  /** Why it cannot be read: there are no events then, and the run cannot be followed past it. */
  readonly problem?: CorruptEventLogError;
}

/** What part of a log is read. */
export interface RunRange {
  readonly afterRevision?: bigint;
  /** The last batch wanted; absent: those committed before the call. */
  readonly untilRevision?: bigint;
  readonly signal?: AbortSignal;
}

/** How far the log of all runs goes. */
export interface LogExtent {
  /** When the stream was created: another time is another log. */
  readonly created: string;
  readonly firstSequence: bigint;
  readonly lastSequence: bigint;
}

/** A run event as code writes it. */
export type RunEventInit = MessageInitShape<typeof RunEventSchema>;

/** Time an append may take over reconnections. */
const APPEND_TIMEOUT_MS = 10_000;
/** Batches fetched ahead when a run's log is read to its end: few, since each may have almost a mebibyte. */
const READ_AHEAD = 8;

/**
 * The event log of all runs. What is appended is there for good; an append that names an old
 * revision is refused, so a transition commits once, whoever races.
 */
export class RunLog {
  constructor(
    private readonly connection: Connection,
    private readonly publisher: Publisher,
    private readonly deadLetters: DeadLetters,
    /** Remembers which unreadable batches were put aside: each is once, however often the log is read. */
    private readonly marks: KV,
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
    const data = runEventBatchCodec.encode(
      create(RunEventBatchSchema, {
        run,
        events: [...events],
        version: EVENTS_VERSION,
        previousRevision: expectedRevision,
      }),
    );
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

  /** All batches of a run after a revision; one with a `problem` is the last. */
  async read(run: string, range: RunRange = {}): Promise<RunBatch[]> {
    const batches: RunBatch[] = [];
    for await (const batch of this.batches(run, range)) batches.push(batch);
    return batches;
  }

  /** Batches of a run in order, to the end of the range; one with a `problem` is the last. */
  async *batches(run: string, range: RunRange = {}): AsyncGenerator<RunBatch, void, undefined> {
    const { afterRevision = 0n, signal } = range;
    const newest = await this.revisionOf(run);
    const { untilRevision = newest } = range;
    // biome-ignore lint/complexity/useMathMinMax: these are bigints
    const last = untilRevision > newest ? newest : untilRevision;
    if (last <= afterRevision) return;
    for await (const message of readMessages(this.connection, {
      stream: STREAMS.runs,
      filter: runSubject(run),
      startSequence: Number(afterRevision) + 1,
      untilSequence: Number(last),
      bufferSize: READ_AHEAD,
      signal,
    })) {
      if (BigInt(message.sequence) > last) return;
      const batch = toRunBatch(message);
      yield batch;
      if (batch.problem) return;
    }
  }

  /**
   * The state of a run, folded from its log; undefined when there is no such run. A log with a gap or an unreadable
   * batch gives the run as it was before, in quarantine.
   */
  async load(
    run: string,
    options: { readonly untilRevision?: bigint; readonly signal?: AbortSignal } = {},
  ): Promise<RunRecord | undefined> {
    let state: RunRecord | undefined;
    for await (const batch of this.batches(run, options)) state = followRun(state, batch);
    return state;
  }

  /** How far the log goes now. */
  async extent(): Promise<LogExtent> {
    const { created, state } = await this.connection.manager.streams.info(STREAMS.runs);
    return { created, firstSequence: BigInt(state.first_seq), lastSequence: BigInt(state.last_seq) };
  }

  /** Batches of all runs after a sequence, in commit order, without end and without a gap; also those with a `problem`. */
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
      const batch = toRunBatch(message);
      if (batch.problem) await this.putAside(message, batch.problem);
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

  /** Keeps what cannot be read as a dead letter, once. What only a newer version can read is no dead letter. */
  private async putAside(message: StreamMessage, problem: CorruptEventLogError): Promise<void> {
    const { subject, data, sequence } = message;
    const { cause } = problem;
    if (cause instanceof NewerEventsError) return;
    const mark = `letter.${sequence}`;
    try {
      if (await this.marks.get(mark)) return;
      const { reason = 'MALFORMED_MESSAGE', message: words } = AppError.from(cause);
      await this.deadLetters.put({ origin: 'runs', subject, data, reason, message: words, sequence });
      await this.marks.put(mark, subject);
    } catch (error) {
      this.logger?.error('events.handler_failed', { stream: STREAMS.runs, subject, sequence, error });
    }
  }

  private countAppended(events: readonly RunEventInit[]): void {
    const counter = this.metrics?.counter('eventsAppended');
    for (const { payload } of events) counter?.inc({ kind: payload?.case ?? 'unknown', outcome: 'ok' });
  }
}

function toRunBatch(message: StreamMessage): RunBatch {
  const run = runOfSubject(message.subject);
  const { time } = message;
  const place = { run, revision: BigInt(message.sequence), time, sizeBytes: message.data.length };
  try {
    const batch = runEventBatchCodec.decode(message.data);
    if (batch.version > EVENTS_VERSION) throw new NewerEventsError(batch.version, EVENTS_VERSION);
    if (batch.run !== run) throw new TypeError(`batch of ${batch.run} on the subject of ${run}`);
    const { events, previousRevision } = batch;
    return { ...place, events, ...(previousRevision === undefined ? {} : { previousRevision }) };
  } catch (error) {
    return { ...place, events: [], problem: new CorruptEventLogError(run, place.revision, error) };
  }
}
