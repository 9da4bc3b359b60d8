import { jetstreamManager, type StreamAPI } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';

/** A message as somebody else may put it into a stream. */
export interface RawMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  /** De-duplication id. */
  readonly messageId?: string;
  /** Stream whose messages of the subject are removed first, so that this one takes their place. */
  readonly replacesIn?: string;
}

/** Publishes bytes past every check of ours. */
export async function publishRaw(url: string, message: RawMessage): Promise<void> {
  const { subject, data, messageId, replacesIn } = message;
  const nats = await connect({ servers: url });
  try {
    if (replacesIn) await deleteAll((await jetstreamManager(nats)).streams, replacesIn, subject);
    const header = headers();
    if (messageId) header.set('Nats-Msg-Id', messageId);
    await nats.request(subject, data, { headers: header, timeout: 5_000 });
  } finally {
    await nats.close();
  }
}

/**
 * One by one: after a purge of a subject, a consumer that has messages before it on other subjects counts as past all
 * that the stream held then, and passes by what it had not delivered.
 */
async function deleteAll(streams: StreamAPI, stream: string, subject: string): Promise<void> {
  for (;;) {
    const last = await streams.getMessage(stream, { last_by_subj: subject }).catch(() => null);
    if (last === null) return;
    await streams.deleteMessage(stream, last.seq);
  }
}
