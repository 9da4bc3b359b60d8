import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

/** Streams whose quota can be used up. */
const STREAMS = ['FORGE_RUNS', 'FORGE_TASKS', 'FORGE_REPORTS'];

/** Messages that there is room for. */
const MARGIN = 6;

/** Equal counts in a row, after which nothing is under way: a server that was stopped has much to catch up with. */
const QUIET_READS = 15;

/** The disk of the event log: full for a while, as its quota says. */
export class Disk {
  #url;

  constructor(url) {
    this.#url = url;
  }

  /** Names of the streams. */
  static get streams() {
    return STREAMS;
  }

  /**
   * Leaves a stream the space of a few messages. Nothing may be written meanwhile: a quota below what is there already makes
   * the server delete the oldest messages, which no full disk does. It is a quota of messages, not of bytes: nats-server 2.9
   * lets in what fits without its header, and deletes the oldest message to make room for that.
   */
  async fill(stream) {
    await this.#manage(async (streams) => {
      let messages = -1;
      for (let quiet = 0; quiet < QUIET_READS; ) {
        const { state } = await streams.info(stream);
        quiet = state.messages === messages ? quiet + 1 : 0;
        ({ messages } = state);
        await sleep(20);
      }
      await streams.update(stream, { max_msgs: messages + MARGIN });
    });
  }

  /** @throws Error  the log of runs does not begin at its first message: what was found there proves nothing */
  async assertWhole() {
    await this.#manage(async (streams) => {
      const { first_seq: first } = (await streams.info('FORGE_RUNS')).state;
      if (first !== 1)
        throw new Error(`FORGE_RUNS begins at ${first}: the quota made the server delete messages`);
    });
  }

  /** Gives all streams their space back. */
  async free() {
    await this.#manage(async (streams) => {
      for (const stream of STREAMS) await streams.update(stream, { max_msgs: -1 });
    });
  }

  async #manage(work) {
    const connection = await connect({ servers: this.#url, timeout: 2_000, reconnect: false });
    try {
      await work((await jetstreamManager(connection, { timeout: 2_000 })).streams);
    } finally {
      await connection.close();
    }
  }
}
