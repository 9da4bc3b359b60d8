import { type Schedule, ScheduleSchema } from '@agentforge/contracts';
import type { Logger } from '@agentforge/telemetry';
import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import type { KV } from '@nats-io/kv';
import { InvalidNameError, MalformedMessageError } from './events.errors.js';
import type { Connection } from './stream/connection.js';
import { tailMessages } from './stream/read-messages.js';
import { API_CODES, apiCodeOf } from './stream/server-reply.js';
import { BUCKETS } from './subjects.js';

/** A schedule as it is kept. */
export interface KeptSchedule {
  readonly schedule: Schedule;
  /** Times up to here are decided, ms since 1970. */
  readonly decidedMs: number;
  /** A time whose run waits for the end of the one before, ms since 1970. */
  readonly queuedMs?: number | undefined;
}

/** A schedule with the revision that a change of it has to name. */
export interface ScheduleEntry extends KeptSchedule {
  readonly revision: number;
}

/** A schedule that was written or removed. */
export interface ScheduleChange {
  readonly name: string;
  readonly revision: number;
  /** Undefined when it was removed. */
  readonly entry: ScheduleEntry | undefined;
}

const STREAM = `KV_${BUCKETS.schedules}` as const;
const SUBJECT_PREFIX = `$KV.${BUCKETS.schedules}.`;
const NAME = /^projects\/([a-z0-9][a-z0-9-]{0,62})\/schedules\/([a-z0-9][a-z0-9-]{0,62})$/;

/** Schedules by name, each changed by compare and set. */
export class ScheduleStore {
  constructor(
    private readonly connection: Connection,
    private readonly bucket: KV,
    private readonly logger: Logger | undefined,
  ) {}

  /** @throws InvalidNameError INVALID_ARGUMENT */
  async get(name: string): Promise<ScheduleEntry | undefined> {
    const found = await this.bucket.get(keyOf(name));
    if (found?.operation !== 'PUT') return undefined;
    return { ...parse(name, found.string()), revision: found.revision };
  }

  /** Keeps a new schedule. @returns undefined when there is one of this name */
  async create(kept: KeptSchedule): Promise<ScheduleEntry | undefined> {
    const { name } = kept.schedule;
    return this.compareAndSet(kept, () => this.bucket.create(keyOf(name), textOf(kept)));
  }

  /** Changes a schedule. @returns undefined when it is at another revision: nothing is changed */
  async update(kept: KeptSchedule, revision: number): Promise<ScheduleEntry | undefined> {
    const { name } = kept.schedule;
    return this.compareAndSet(kept, () => this.bucket.update(keyOf(name), textOf(kept), revision));
  }

  /** Removes a schedule. */
  async remove(name: string): Promise<void> {
    await this.bucket.delete(keyOf(name));
  }

  /** First every schedule, then every change, without end. One that cannot be read is logged and left out. */
  async *watch(
    options: { readonly signal?: AbortSignal; readonly onCaughtUp?: () => void } = {},
  ): AsyncGenerator<ScheduleChange, void, undefined> {
    const messages = tailMessages(this.connection, {
      stream: STREAM,
      filter: `${SUBJECT_PREFIX}>`,
      startSequence: 1,
      signal: options.signal,
      onCaughtUp: options.onCaughtUp,
      logger: this.logger,
    });
    for await (const message of messages) {
      const [project, id] = message.subject.slice(SUBJECT_PREFIX.length).split('.');
      const name = `projects/${project}/schedules/${id}`;
      const revision = message.sequence;
      if (message.header('KV-Operation') !== undefined) {
        yield { name, revision, entry: undefined };
        continue;
      }
      try {
        const kept = parse(name, Buffer.from(message.data).toString('utf8'));
        yield { name, revision, entry: { ...kept, revision } };
      } catch (error) {
        this.logger?.warn('events.handler_failed', { bucket: BUCKETS.schedules, name, error });
      }
    }
  }

  private async compareAndSet(
    kept: KeptSchedule,
    write: () => Promise<number>,
  ): Promise<ScheduleEntry | undefined> {
    try {
      return { ...kept, revision: await write() };
    } catch (error) {
      if (apiCodeOf(error) !== API_CODES.wrongLastSequence) throw error;
      return undefined;
    }
  }
}

function keyOf(name: string): string {
  const [, project, id] = NAME.exec(name) ?? [];
  if (project === undefined || id === undefined) throw new InvalidNameError('schedule', name);
  return `${project}.${id}`;
}

const textOf = ({ schedule, decidedMs, queuedMs }: KeptSchedule): string =>
  JSON.stringify({ schedule: toJson(ScheduleSchema, schedule), decidedMs, queuedMs });

function parse(name: string, text: string): KeptSchedule {
  try {
    const { schedule, decidedMs, queuedMs } = JSON.parse(text) as Record<string, JsonValue>;
    return {
      schedule: fromJson(ScheduleSchema, schedule ?? null, { ignoreUnknownFields: true }),
      decidedMs: Number(decidedMs),
      queuedMs: typeof queuedMs === 'number' ? queuedMs : undefined,
    };
  } catch (error) {
    throw new MalformedMessageError(`schedule ${name}`, 'unreadable', error);
  }
}
