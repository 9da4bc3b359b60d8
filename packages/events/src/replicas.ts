import type { Logger } from '@agentforge/telemetry';
import type { Connection } from './stream/connection.js';
import { REPLICAS_SUBJECT } from './subjects.js';

/** What a replica says about itself. */
export interface ReplicaWord {
  readonly id: string;
  readonly kind: 'here' | 'leaving';
}

/** Time between two words of a replica that is there. */
export const REPLICA_BEAT_MS = 1_000;

/** Longest name of a replica that is listened to. */
const MAX_ID = 300;

/** A replica that takes part. */
export interface Membership {
  /** Says good-bye, so that the others need not wait for silence. */
  leave(): Promise<void>;
}

/** Replicas of the engine that hear of each other, on core NATS: nothing is stored, silence is the news. */
export class Replicas {
  constructor(
    private readonly connection: Connection,
    private readonly logger: Logger | undefined,
  ) {}

  /**
   * Says every second that a replica is there, and passes on what the others say. A newcomer is answered at once, so
   * that it knows everybody after one round trip.
   */
  join(id: string, listener: (word: ReplicaWord) => void): Membership {
    const { nats } = this.connection;
    const known = new Set<string>([id]);
    const say = (kind: ReplicaWord['kind']) => {
      if (!nats.isClosed()) nats.publish(REPLICAS_SUBJECT, JSON.stringify({ id, kind }));
    };
    const subscription = nats.subscribe(REPLICAS_SUBJECT, {
      callback: (error, message) => {
        const word = error ? undefined : parse(message.string());
        if (word === undefined) return;
        const isNew = !known.has(word.id);
        if (word.kind === 'leaving') known.delete(word.id);
        else known.add(word.id);
        listener(word);
        if (isNew && word.kind === 'here') {
          this.logger?.info('replica.joined', { replica: word.id });
          say('here');
        }
      },
    });
    say('here');
    const timer = setInterval(() => say('here'), REPLICA_BEAT_MS);
    timer.unref();
    return {
      leave: async () => {
        clearInterval(timer);
        subscription.unsubscribe();
        say('leaving');
        if (!nats.isClosed() && this.connection.isConnected()) await nats.flush().catch(() => undefined);
      },
    };
  }
}

/** What is not a word of a replica is nobody's. */
function parse(text: string): ReplicaWord | undefined {
  try {
    const { id, kind } = JSON.parse(text) as Partial<ReplicaWord>;
    const isWord = typeof id === 'string' && id !== '' && id.length <= MAX_ID;
    return isWord && (kind === 'here' || kind === 'leaving') ? { id, kind } : undefined;
  } catch {
    return undefined;
  }
}
