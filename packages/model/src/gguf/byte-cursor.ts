/** The window ends before what is to be read, but the file goes on: read again with more of it. */
export class WindowTooSmall extends Error {}

/** The bytes contradict the format; the message says how, without the file's name. */
export class MalformedBytes extends Error {}

const TWO_32 = 2 ** 32;

/**
 * Reads little-endian values from the beginning of a file, of which a window is in memory. No length is trusted:
 * every read is checked against the size of the file before anything is allocated.
 */
export class ByteCursor {
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly fileBytes: number;
  private at = 0;

  /** @param window the first bytes of a file of `fileBytes` */
  constructor(window: Uint8Array, fileBytes: number) {
    this.bytes = window;
    this.view = new DataView(window.buffer, window.byteOffset, window.byteLength);
    this.fileBytes = fileBytes;
  }

  /** Bytes read so far. */
  get position(): number {
    return this.at;
  }

  /** Bytes of the file after the position. */
  get left(): number {
    return this.fileBytes - this.at;
  }

  /** Reserves `count` bytes; returns where they begin. `what` names them in the error. */
  take(count: number, what: string): number {
    if (count > this.left) {
      throw new MalformedBytes(
        `${what} at byte ${this.at} needs ${count} bytes, but only ${this.left} are left (truncated?)`,
      );
    }
    if (this.at + count > this.bytes.length) throw new WindowTooSmall();
    const start = this.at;
    this.at += count;
    return start;
  }

  u32(what: string): number {
    return this.view.getUint32(this.take(4, what), true);
  }

  /** A u64 that has to be below 2^53. */
  count(what: string): number {
    const at = this.take(8, what);
    const value = this.view.getUint32(at + 4, true) * TWO_32 + this.view.getUint32(at, true);
    if (!Number.isSafeInteger(value)) throw new MalformedBytes(`${what} is ${value}, which no file can hold`);
    return value;
  }

  /** `count` elements of `bytesEach`, copied into memory of their own (aligned). */
  copy(count: number, bytesEach: number, what: string): ArrayBuffer {
    const start = this.take(count * bytesEach, what);
    return this.bytes.slice(start, start + count * bytesEach).buffer;
  }

  /** A length as u64, then that many bytes of UTF-8. */
  string(what: string, maxBytes: number): string {
    const length = this.count(`the length of ${what}`);
    if (length > maxBytes && length <= this.left) {
      throw new MalformedBytes(`${what} has ${length} bytes; the limit is ${maxBytes}`);
    }
    const start = this.take(length, what);
    try {
      return utf8.decode(this.bytes.subarray(start, start + length));
    } catch {
      throw new MalformedBytes(`${what} at byte ${start} is not UTF-8`);
    }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
