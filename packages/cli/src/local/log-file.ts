import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Largest log before it is rotated, and how many older ones are kept. */
const MAX_LOG_BYTES = 8 * 1024 * 1024;
const KEPT_LOGS = 2;

/** A bounded log that a child process appends to by itself; the owner only rotates it. */
export class LogFile {
  constructor(readonly path: string) {
    mkdirSync(dirname(path), { recursive: true });
  }

  /** A descriptor for a child's output; close it after the child was started. */
  open(): number {
    return openSync(this.path, 'a');
  }

  /** Moves the content away when it is too large. The child goes on writing: its descriptor appends. */
  rotate(): void {
    if (this.size() <= MAX_LOG_BYTES) return;
    for (let index = KEPT_LOGS; index > 1; index--) {
      try {
        renameSync(`${this.path}.${index - 1}`, `${this.path}.${index}`);
      } catch {
        // There is no such older log yet.
      }
    }
    copyFileSync(this.path, `${this.path}.1`);
    truncateSync(this.path);
  }

  /** The last bytes as text. */
  tail(bytes = 2_000): string {
    const size = this.size();
    if (size === 0) return '';
    const file = openSync(this.path, 'r');
    try {
      const buffer = Buffer.alloc(Math.min(bytes, size));
      readSync(file, buffer, 0, buffer.length, size - buffer.length);
      return buffer.toString('utf8');
    } finally {
      closeSync(file);
    }
  }

  /** Removes it and its older ones. */
  remove(): void {
    for (const suffix of ['', ...Array.from({ length: KEPT_LOGS }, (_, index) => `.${index + 1}`)]) {
      rmSync(`${this.path}${suffix}`, { force: true });
    }
  }

  private size(): number {
    try {
      return statSync(this.path).size;
    } catch {
      return 0;
    }
  }
}
