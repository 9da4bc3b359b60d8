import { type ArtifactRef, ArtifactRefSchema } from '@agentforge/contracts';
import type { Logger } from '@agentforge/telemetry';
import { fromJson, type JsonObject, toJson } from '@bufbuild/protobuf';
import type { KV } from '@nats-io/kv';
import { InvalidNameError } from './events.errors.js';
import type { Connection } from './stream/connection.js';
import { tailMessages } from './stream/read-messages.js';
import { BUCKETS } from './subjects.js';

/** An artifact that was uploaded rather than produced by a run. */
export interface Upload {
  readonly ref: ArtifactRef;
  /** The project that its bytes count for; empty for none. */
  readonly project: string;
  /** When it was first uploaded under this name. */
  readonly time: Date;
}

const SUBJECT_PREFIX = `$KV.${BUCKETS.uploads}.`;
/** Beside the fields of the reference. */
const PROJECT_FIELD = 'forgeProject';
const DIGEST = /^sha256:([0-9a-f]{64})$/;

/** Which artifacts were uploaded, by digest. */
export class UploadIndex {
  constructor(
    private readonly connection: Connection,
    private readonly bucket: KV,
    private readonly logger: Logger | undefined,
  ) {}

  /** Records an upload. The same artifact uploaded again changes nothing. @param project  that its bytes count for */
  async put(ref: ArtifactRef, project = ''): Promise<void> {
    const key = DIGEST.exec(ref.digest)?.[1];
    if (key === undefined) throw new InvalidNameError('digest', ref.digest);
    const fields = toJson(ArtifactRefSchema, ref) as JsonObject;
    const text = JSON.stringify(project === '' ? fields : { ...fields, [PROJECT_FIELD]: project });
    const known = await this.bucket.get(key);
    if (known?.operation === 'PUT' && known.string() === text) return;
    await this.bucket.put(key, text);
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
        const fields = JSON.parse(Buffer.from(message.data).toString('utf8'));
        yield {
          ref: fromJson(ArtifactRefSchema, fields, { ignoreUnknownFields: true }),
          project: String(fields[PROJECT_FIELD] ?? ''),
          time: message.time,
        };
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
