import { connectEvents, type Events } from '../events.js';

/** A connection with all streams in place, for a test against its own server. */
export function connectForTest(
  url: string,
  options: { readonly name?: string; readonly ackWaitMs?: number } = {},
): Promise<Events> {
  return connectEvents({
    servers: url,
    name: options.name ?? 'test',
    ...(options.ackWaitMs === undefined ? {} : { topology: { ackWaitMs: options.ackWaitMs } }),
  });
}
