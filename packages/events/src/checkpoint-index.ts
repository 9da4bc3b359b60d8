import { type ArtifactRef, ArtifactRefSchema } from '@agentforge/contracts';
import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import type { KV, KvEntry } from '@nats-io/kv';
import {
  AttemptOverError,
  MalformedMessageError,
  RevisionConflictError,
  StaleFencingTokenError,
} from './events.errors.js';
import { API_CODES, apiCodeOf } from './stream/server-reply.js';
import { checkAttemptId } from './subjects.js';

/** The newest checkpoint of an attempt. */
export interface CheckpointEntry {
  readonly checkpoint: ArtifactRef;
  /** Token of the worker that stored it. */
  readonly fencingToken: bigint;
  /** Grows with the checkpoints of an attempt. */
  readonly sequence: number;
  /** The delivery of the task that stored it; 0 when that is not known. */
  readonly delivery: number;
}

/** A write that loses its race looks again; more often than this means something else is wrong. */
const MAX_TRIES = 20;

/** Where the newest checkpoint of each running attempt is, so that a task delivered again resumes from it. */
export class CheckpointIndex {
  constructor(private readonly bucket: KV) {}

  /**
   * Records a checkpoint unless a newer one is recorded.
   * @throws StaleFencingTokenError  FAILED_PRECONDITION: a newer token, or a later checkpoint of the same token, is there
   * @throws AttemptOverError        FAILED_PRECONDITION: the attempt has ended
   */
  async put(
    attemptId: string,
    entry: Pick<CheckpointEntry, 'checkpoint' | 'fencingToken'> & Partial<CheckpointEntry>,
  ): Promise<void> {
    const key = checkAttemptId(attemptId);
    const { fencingToken, sequence = 0, delivery = 0 } = entry;
    const checkpoint = toJson(ArtifactRefSchema, entry.checkpoint);
    const text = JSON.stringify({ checkpoint, fencingToken: String(fencingToken), sequence, delivery });
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const known = await this.#entryOf(attemptId);
      if (known) {
        const newest = parse(key, known);
        const isOlder =
          newest.fencingToken > fencingToken ||
          (newest.fencingToken === fencingToken && newest.sequence > sequence);
        if (isOlder) throw new StaleFencingTokenError(attemptId, fencingToken, newest.fencingToken);
      }
      try {
        if (known) await this.bucket.update(key, text, known.revision);
        else await this.bucket.create(key, text);
        return;
      } catch (error) {
        if (apiCodeOf(error) !== API_CODES.wrongLastSequence) throw error;
      }
    }
    throw new RevisionConflictError(`checkpoint ${attemptId}`, 0n, undefined);
  }

  /**
   * The newest checkpoint of an attempt.
   * @throws AttemptOverError  FAILED_PRECONDITION: the attempt has ended
   */
  async get(attemptId: string): Promise<CheckpointEntry | undefined> {
    const entry = await this.#entryOf(attemptId);
    return entry && parse(attemptId, entry);
  }

  /**
   * Forgets the checkpoint of an attempt that has ended. What stays for a while is that it has: a task of it that is
   * delivered once more would otherwise be done from the beginning, for nobody.
   */
  async end(attemptId: string): Promise<void> {
    await this.bucket.purge(checkAttemptId(attemptId));
  }

  async #entryOf(attemptId: string): Promise<KvEntry | undefined> {
    const entry = await this.bucket.get(checkAttemptId(attemptId));
    if (entry && entry.operation !== 'PUT') throw new AttemptOverError(attemptId);
    return entry ?? undefined;
  }
}

function parse(key: string, entry: KvEntry): CheckpointEntry {
  try {
    const { checkpoint, fencingToken, sequence, delivery } = entry.json<Record<string, JsonValue>>();
    return {
      checkpoint: fromJson(ArtifactRefSchema, checkpoint ?? null),
      fencingToken: BigInt(String(fencingToken)),
      sequence: Number(sequence),
      delivery: Number(delivery ?? 0),
    };
  } catch (error) {
    throw new MalformedMessageError(`checkpoint entry ${key}`, 'unreadable', error);
  }
}
