import { createServer, Socket } from 'node:net';

/**
 * The network between one service and NATS: passes everything on until it is told to cut, refuse or delay. Bytes keep
 * their order; a cut loses what was under way, as a broken connection does.
 */
export class Network {
  #server;
  #pairs = new Set();
  #upstreamPort = 0;
  #delayMs = 0;
  #isRefusing = false;
  /** What is to be passed on later, in order; null when nothing is held. */
  #held = null;

  /** Listens on a free port of loopback. */
  static async start() {
    const proxy = new Network();
    await proxy.#listen();
    return proxy;
  }

  /** Where the service connects. */
  get url() {
    return `nats://127.0.0.1:${this.#server.address().port}`;
  }

  /** Where NATS is. */
  lead(url) {
    this.#upstreamPort = Number(new URL(url).port);
  }

  /** Breaks every connection. */
  cut() {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /** Breaks every connection, and takes no new one until told otherwise. */
  refuse(isRefusing) {
    this.#isRefusing = isRefusing;
    if (isRefusing) this.cut();
  }

  /** Holds everything back by a time, in both directions. */
  delay(delayMs) {
    this.#delayMs = delayMs;
  }

  /** Passes nothing on, in either direction, until told otherwise; loses nothing. */
  hold(isHolding) {
    if (isHolding) {
      this.#held ??= [];
      return;
    }
    const held = this.#held ?? [];
    this.#held = null;
    for (const pass of held) pass();
  }

  /** Ends for good. */
  async stop() {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #listen() {
    this.#server = createServer((client) => this.#join(client));
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  #join(client) {
    if (this.#isRefusing || this.#upstreamPort === 0) {
      client.destroy();
      return;
    }
    const upstream = new Socket();
    const pair = [client, upstream];
    this.#pairs.add(pair);
    upstream.connect(this.#upstreamPort, '127.0.0.1');
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#pairs.delete(pair);
        for (const one of pair) one.destroy();
      });
    }
    this.#pass(client, upstream);
    this.#pass(upstream, client);
  }

  /** A later piece never overtakes an earlier one that waits: whichever timer is first, the piece that came first goes. */
  #pass(from, to) {
    const waiting = [];
    let dueMs = 0;
    const write = (piece) => {
      const pass = () => to.destroyed || to.write(piece);
      if (this.#held === null) pass();
      else this.#held.push(pass);
    };
    from.on('data', (piece) => {
      const now = performance.now();
      dueMs = Math.max(now + this.#delayMs, dueMs);
      if (dueMs <= now && waiting.length === 0) return write(piece);
      waiting.push(piece);
      setTimeout(() => write(waiting.shift()), dueMs - now);
    });
  }
}
