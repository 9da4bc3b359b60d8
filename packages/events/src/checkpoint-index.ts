import { type ArtifactRef, ArtifactRefSchema } from '@agentforge/contracts';
import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import type { KV, KvEntry } from '@nats-io/kv';
import type { TaskHistory } from './deliveries.js';
import {
  AttemptOverError,
  RevisionConflictError,
  StaleFencingTokenError,
  UnprocessableMessageError,
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

/** What is kept of an attempt: its newest checkpoint, if it has one, and how many workers began with it since then. */
interface AttemptEntry {
  readonly newest: CheckpointEntry | undefined;
  readonly begun: number;
}

/** Nothing is written when a task is delivered for the first time: whoever got it is taken to have begun. */
const FIRST_DELIVERY: AttemptEntry = { newest: undefined, begun: 1 };

/** A write that loses its race looks again; more often than this means something else is wrong. */
const MAX_TRIES = 20;

/**
 * Where the newest checkpoint of each running attempt is, so that a task delivered again resumes from it, and how many
 * workers began with the task in vain. An entry that cannot be read is an UnprocessableMessageError: its task becomes a dead
 * letter, and another attempt has an entry of its own.
 */
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
    const { checkpoint, fencingToken, sequence = 0, delivery = 0 } = entry;
    await this.#change(attemptId, ({ newest }) => {
      const isOlder =
        newest !== undefined &&
        (newest.fencingToken > fencingToken ||
          (newest.fencingToken === fencingToken && newest.sequence > sequence));
      if (isOlder) throw new StaleFencingTokenError(attemptId, fencingToken, newest.fencingToken);
      return { newest: { checkpoint, fencingToken, sequence, delivery }, begun: 0 };
    });
  }

  /**
   * The newest checkpoint of an attempt.
   * @throws AttemptOverError  FAILED_PRECONDITION: the attempt has ended
   */
  async get(attemptId: string): Promise<CheckpointEntry | undefined> {
    return (await this.#read(attemptId)).entry.newest;
  }

  /**
   * What became of the deliveries of an attempt's task so far; asked for when there was one.
   * @throws AttemptOverError  FAILED_PRECONDITION: the attempt has ended
   */
  async historyOf(attemptId: string): Promise<TaskHistory> {
    const { newest, begun } = (await this.#read(attemptId)).entry;
    return { progressAt: newest?.delivery ?? 0, begun };
  }

  /**
   * Records that one more worker begins with the task of an attempt.
   * @throws AttemptOverError  FAILED_PRECONDITION: the attempt has ended
   */
  async begin(attemptId: string): Promise<void> {
    await this.#change(attemptId, ({ newest, begun }) => ({ newest, begun: begun + 1 }));
  }

  /**
   * Forgets the checkpoint of an attempt that has ended. What stays for a while is that it has: a task of it that is
   * delivered once more would otherwise be done from the beginning, for nobody.
   */
  async end(attemptId: string): Promise<void> {
    await this.bucket.purge(checkAttemptId(attemptId));
  }

  /** Writes what follows from what is kept, whoever else writes. */
  async #change(attemptId: string, next: (entry: AttemptEntry) => AttemptEntry): Promise<void> {
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const { entry, revision } = await this.#read(attemptId);
      try {
        // revision 0: only when there is nothing, not even the mark of an attempt that has ended
        await this.bucket.put(attemptId, format(next(entry)), { previousSeq: revision });
        return;
      } catch (error) {
        if (apiCodeOf(error) !== API_CODES.wrongLastSequence) throw error;
      }
    }
    throw new RevisionConflictError(`checkpoint ${attemptId}`, 0n, undefined);
  }

  async #read(attemptId: string): Promise<{ entry: AttemptEntry; revision: number }> {
    const found = await this.bucket.get(checkAttemptId(attemptId));
    if (found && found.operation !== 'PUT') throw new AttemptOverError(attemptId);
    return found
      ? { entry: parse(attemptId, found), revision: found.revision }
      : { entry: FIRST_DELIVERY, revision: 0 };
  }
}

function format({ newest, begun }: AttemptEntry): string {
  if (!newest) return JSON.stringify({ begun });
  const { checkpoint, fencingToken, sequence, delivery } = newest;
  const reference = toJson(ArtifactRefSchema, checkpoint);
  return JSON.stringify({
    checkpoint: reference,
    fencingToken: String(fencingToken),
    sequence,
    delivery,
    begun,
  });
}

function parse(key: string, entry: KvEntry): AttemptEntry {
  try {
    const { checkpoint, fencingToken, sequence, delivery, begun } = entry.json<Record<string, JsonValue>>();
    const newest =
      checkpoint === undefined
        ? undefined
        : {
            checkpoint: fromJson(ArtifactRefSchema, checkpoint),
            fencingToken: BigInt(String(fencingToken)),
            sequence: Number(sequence),
            delivery: Number(delivery ?? 0),
          };
    return { newest, begun: Number(begun ?? 0) };
  } catch (error) {
    throw new UnprocessableMessageError(
      'CHECKPOINT_UNREADABLE',
      `the entry of attempt ${key} in the index of checkpoints cannot be read: ${String(error)}`,
    );
  }
}
