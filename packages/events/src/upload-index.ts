import { type ArtifactRef, ArtifactRefSchema } from '@agentforge/contracts';
import type { Logger } from '@agentforge/telemetry';
import { fromJson, type JsonObject, toJson } from '@bufbuild/protobuf';
import type { KV } from '@nats-io/kv';
import { InvalidNameError } from './events.errors.js';
import type { Connection } from './stream/connection.js';
import { tailMessages } from './stream/read-messages.js';
import { API_CODES, apiCodeOf } from './stream/server-reply.js';
import { BUCKETS } from './subjects.js';

/** An artifact that was uploaded rather than produced by a run. */
export interface Upload {
  readonly ref: ArtifactRef;
  /** The project that its bytes count for; empty for none. */
  readonly project: string;
  /** When it was first uploaded under this name. */
  readonly time: Date;
  /** Since when its bytes count for the project: when that stored the content first, under whatever name. */
  readonly since: Date;
}

const SUBJECT_PREFIX = `$KV.${BUCKETS.uploads}.`;
/** Beside the fields of the reference. */
const PROJECT_FIELD = 'forgeProject';
const SINCE_FIELD = 'forgeSinceMs';
/** How often an upload is recorded again when another one of the same content comes in between. */
const MAX_TRIES = 10;
const DIGEST = /^sha256:([0-9a-f]{64})$/;

/** Which artifacts were uploaded, by digest. */
export class UploadIndex {
  constructor(
    private readonly connection: Connection,
    private readonly bucket: KV,
    private readonly logger: Logger | undefined,
  ) {}

  /**
   * Records an upload. The same artifact uploaded again changes nothing, and content that is stored under another name
   * goes on to count for the project that stored it first.
   * @param project  that its bytes count for
   */
  async put(ref: ArtifactRef, project = ''): Promise<void> {
    const key = DIGEST.exec(ref.digest)?.[1];
    if (key === undefined) throw new InvalidNameError('digest', ref.digest);
    const fields = toJson(ArtifactRefSchema, ref) as JsonObject;
    for (let tries = 1; ; tries++) {
      const known = await this.bucket.get(key);
      const before = known?.operation === 'PUT' ? readFields(known.string(), known.created) : undefined;
      if (before !== undefined && JSON.stringify(before.fields) === JSON.stringify(fields))
        if (project === '' || before.project !== '') return;
      const owner = before !== undefined && before.project !== '' ? before : undefined;
      const kept = owner
        ? { ...fields, [PROJECT_FIELD]: owner.project, [SINCE_FIELD]: owner.since.getTime() }
        : project === ''
          ? fields
          : { ...fields, [PROJECT_FIELD]: project };
      try {
        await this.bucket.put(key, JSON.stringify(kept), { previousSeq: known?.revision ?? 0 });
        return;
      } catch (error) {
        if (apiCodeOf(error) !== API_CODES.wrongLastSequence || tries === MAX_TRIES) throw error;
      }
    }
  }

  /** First every upload that is recorded, then every new one, without end. */
  async *watch(
    options: { readonly signal?: AbortSignal; readonly onCaughtUp?: () => void } = {},
  ): AsyncGenerator<Upload, void, undefined> {
    const messages = tailMessages(this.connection, {
      stream: `KV_${BUCKETS.uploads}`,
      filter: `${SUBJECT_PREFIX}>`,
      startSequence: 1,
      signal: options.signal,
      onCaughtUp: options.onCaughtUp,
      logger: this.logger,
    });
    for await (const message of messages) {
      if (message.header('KV-Operation') !== undefined) continue;
      try {
        const { fields, project, since } = readFields(
          Buffer.from(message.data).toString('utf8'),
          message.time,
        );
        const ref = fromJson(ArtifactRefSchema, fields, { ignoreUnknownFields: true });
        yield { ref, project, since, time: message.time };
      } catch (error) {
        this.logger?.warn('events.handler_failed', {
          bucket: BUCKETS.uploads,
          subject: message.subject,
          error,
        });
      }
    }
  }
}

/** What a record says: the fields of the reference, and whose it is. @param written  when it was written */
function readFields(text: string, written: Date) {
  const { [PROJECT_FIELD]: project, [SINCE_FIELD]: sinceMs, ...fields } = JSON.parse(text) as JsonObject;
  return {
    fields,
    project: typeof project === 'string' ? project : '',
    since: typeof sinceMs === 'number' ? new Date(sinceMs) : written,
  };
}
