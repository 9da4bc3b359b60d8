import { jetstreamManager } from '@nats-io/jetstream';
import { connect, nanos } from '@nats-io/transport-node';
import type { StreamName } from '../subjects.js';

/** Makes a stream forget message ids after 100 ms, the shortest that a server accepts, instead of two minutes. */
export async function forgetMessageIds(url: string, stream: StreamName): Promise<void> {
  const connection = await connect({ servers: url });
  const manager = await jetstreamManager(connection);
  await manager.streams.update(stream, { duplicate_window: nanos(100) });
  await connection.close();
}
