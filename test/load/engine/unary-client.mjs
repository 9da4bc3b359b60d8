import { connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';

/** Bytes before a gRPC message: not compressed, and its length. */
const PREFIX_BYTES = 5;
const CONNECT_MS = 10_000;
const RECONNECT_MS = 50;
/** Canonical names of the codes that overload and faults bring. */
const CODES = {
  4: 'DEADLINE_EXCEEDED',
  8: 'RESOURCE_EXHAUSTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
};

/** A request as it goes over the wire. */
export function framed(bytes) {
  const frame = Buffer.alloc(PREFIX_BYTES + bytes.length);
  frame.writeUInt32BE(bytes.length, 1);
  frame.set(bytes, PREFIX_BYTES);
  return frame;
}

/**
 * Unary gRPC calls of one method over HTTP/2 as Node.js has it. Beside a server on the same two cores a full client would be
 * as large a part of what is measured as the server; this one decodes nothing and leaves deadlines to the server.
 */
export class UnaryClient {
  #sessions = [];
  #next = 0;
  #isClosed = false;
  #headers;
  #url;

  constructor({ server, path, tenant, tenantHeader, deadlineMs }) {
    this.#url = `http://${server}`;
    this.#headers = {
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': `${deadlineMs}m`,
      [tenantHeader]: tenant,
    };
  }

  /** Opens connections, over which calls go in turn. */
  async open(count) {
    const opened = Array.from({ length: count }, () => this.#connect());
    this.#sessions = await Promise.all(opened);
  }

  /** @param frame  see {@link framed} @throws Error with the `code` of the answer, UNAVAILABLE when the connection was lost */
  call(frame) {
    const place = this.#next++ % this.#sessions.length;
    const session = this.#sessions[place];
    return new Promise((resolve, reject) => {
      if (session.closed || session.destroyed) {
        reject(Object.assign(new Error('not connected'), { code: 'UNAVAILABLE' }));
        return;
      }
      const stream = session.request(this.#headers);
      let status;
      const read = (headers) => {
        status = headers['grpc-status'] ?? status;
      };
      stream.on('response', read);
      stream.on('trailers', read);
      stream.on('error', () => {}); // `close` follows
      stream.on('close', () => {
        if (status === '0') resolve();
        else {
          const code = status === undefined ? 'UNAVAILABLE' : (CODES[status] ?? `code ${status}`);
          reject(Object.assign(new Error('no answer'), { code }));
        }
      });
      stream.resume();
      stream.end(frame);
    });
  }

  close() {
    this.#isClosed = true;
    for (const session of this.#sessions) session.destroy();
  }

  /** A connection; when it is lost, another one takes its place. */
  #connect() {
    return new Promise((resolve, reject) => {
      const session = connect(this.#url);
      const timer = setTimeout(() => session.destroy(new Error('cannot connect')), CONNECT_MS);
      session.once('remoteSettings', () => {
        clearTimeout(timer);
        resolve(session);
      });
      session.once('error', reject);
      session.on('error', () => {});
      session.once('close', () => {
        clearTimeout(timer);
        const place = this.#sessions.indexOf(session);
        if (place >= 0) void this.#replace(place);
      });
    });
  }

  async #replace(place) {
    while (!this.#isClosed) {
      const another = await this.#connect().catch(() => sleep(RECONNECT_MS, undefined, { ref: false }));
      if (this.#isClosed) another?.destroy();
      else if (another) {
        this.#sessions[place] = another;
        return;
      }
    }
  }
}
