import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';

const POLL_MS = 250;
const MAX_READ_BYTES = 256 * 1024;

/** Passes on every new line of the logs in a folder, with the name of the log in front, until it is closed. */
export class LogFollower {
  private readonly offsets = new Map<string, number>();
  private readonly decoders = new Map<string, { decoder: StringDecoder; partial: string }>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly folder: string,
    private readonly emit: (line: string) => void,
  ) {
    for (const name of this.logs()) this.offsets.set(name, sizeOf(join(folder, name)));
    this.timer = setInterval(() => this.poll(), POLL_MS);
  }

  /** Ends following. */
  close(): void {
    clearInterval(this.timer);
    this.poll();
  }

  private logs(): string[] {
    return readdirSync(this.folder).filter((name) => name.endsWith('.log'));
  }

  private poll(): void {
    for (const name of this.logs()) {
      const file = join(this.folder, name);
      const size = sizeOf(file);
      const known = this.offsets.get(name) ?? 0;
      const offset = known > size ? 0 : known;
      if (size === offset) continue;
      const bytes = readFrom(file, offset, Math.min(size - offset, MAX_READ_BYTES));
      this.offsets.set(name, offset + bytes.length);
      const state = this.decoders.get(name) ?? { decoder: new StringDecoder('utf8'), partial: '' };
      const lines = (state.partial + state.decoder.write(bytes)).split('\n');
      this.decoders.set(name, { decoder: state.decoder, partial: lines.pop() ?? '' });
      for (const line of lines) this.emit(`${name.replace(/\.log$/, '').padEnd(20)} ${line}`);
    }
  }
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
}

function readFrom(file: string, offset: number, bytes: number): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(bytes);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, bytes, offset));
  } finally {
    closeSync(descriptor);
  }
}
