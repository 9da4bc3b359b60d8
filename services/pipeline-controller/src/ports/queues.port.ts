import type { QueueReading } from '@agentforge/events';

/** The queues of the engine. */
export abstract class Queues {
  abstract readings(): Promise<readonly QueueReading[]>;
}
