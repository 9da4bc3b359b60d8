import { fork } from 'node:child_process';

/** Time a child gets to end by itself, ms. */
const GRACE_MS = 3_000;

/**
 * A module in a process of its own: what it does, and what its event loop waits for, does not disturb the caller.
 * Methods are called by name and answer once; a child that dies fails every call that is open.
 */
export class Remote {
  #child;
  #calls = new Map();
  #next = 0;

  /** @param url  module that calls {@link serve} */
  constructor(url) {
    this.#child = fork(url, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', ({ id, value, error }) => {
      const call = this.#calls.get(id);
      this.#calls.delete(id);
      if (error === undefined) call?.resolve(value);
      else call?.reject(Object.assign(new Error(error.message), { code: error.code }));
    });
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#calls.values())
        reject(new Error(`${url.pathname.split('/').at(-1)} ended: ${signal ?? code}`));
      this.#calls.clear();
    });
  }

  get pid() {
    return this.#child.pid;
  }

  /** Calls a method of the child. */
  call(method, args) {
    if (!this.#child.connected) return Promise.reject(new Error('the process has ended'));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#child.send({ id, method, args });
    });
  }

  /** Ends the child. */
  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    const forced = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await ended;
    clearTimeout(forced);
  }
}

/** Answers the calls of a parent; ends when the parent is gone or asks for it. */
export function serve(methods) {
  process.on('message', async ({ id, method, args }) => {
    try {
      process.send({ id, value: await methods[method](args) });
    } catch (error) {
      if (process.connected) process.send({ id, error: { message: error.message, code: error.code } });
    }
  });
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C reaches the whole group: the parent ends everything in order.
  process.on('SIGINT', () => undefined);
}
