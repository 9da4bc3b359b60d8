import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

/** Streams whose quota can be used up; the last is what they have when nothing is wrong. */
const STREAMS = { FORGE_RUNS: -1, FORGE_TASKS: 2 ** 30, FORGE_REPORTS: 2 ** 30 };

/** The space of a few messages. */
const MARGIN_BYTES = 4_000;

/** Equal sizes in a row, after which nothing is under way: a server that was stopped has much to catch up with. */
const QUIET_READS = 15;

/** The disk of the event log: full for a while, as its quota says. */
export class Disk {
  #url;

  constructor(url) {
    this.#url = url;
  }

  /** Names of the streams. */
  static get streams() {
    return Object.keys(STREAMS);
  }

  /**
   * Leaves a stream the space of a few messages. Nothing may be written meanwhile: a quota below what is there already makes
   * the server delete the oldest messages, which no full disk does.
   */
  async fill(stream) {
    await this.#manage(async (streams) => {
      let bytes = -1;
      for (let quiet = 0; quiet < QUIET_READS; ) {
        const { state } = await streams.info(stream);
        quiet = state.bytes === bytes ? quiet + 1 : 0;
        ({ bytes } = state);
        await sleep(20);
      }
      await streams.update(stream, { max_bytes: bytes + MARGIN_BYTES });
    });
  }

  /** @throws Error  the log of runs does not begin at its first message: what was found there proves nothing */
  async assertWhole() {
    await this.#manage(async (streams) => {
      const { first_seq: first } = (await streams.info('FORGE_RUNS')).state;
      if (first !== 1)
        throw new Error(`FORGE_RUNS begins at ${first}: a quota was set below what was stored`);
    });
  }

  /** Gives all streams their space back. */
  async free() {
    await this.#manage(async (streams) => {
      for (const [stream, bytes] of Object.entries(STREAMS))
        await streams.update(stream, { max_bytes: bytes });
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
