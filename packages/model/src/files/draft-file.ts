import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FilePlan } from './file-plan.js';

/** Bytes after which the disk begins to write while more are made: little is left to wait for at the end. */
const SYNC_BYTES = 1 << 25;

/**
 * A planned file while it is written, in any order and several parts at a time, under another name. It gets its own by
 * `finish`, once it is complete and on disk; one that was there is replaced.
 */
export class DraftFile {
  private readonly path: string;
  private readonly draft: string;
  private readonly plan: FilePlan;
  private readonly file: FileHandle;
  private unsynced = 0;
  private syncing: Promise<void> | undefined;
  private failure: unknown;
  private isClosed = false;

  private constructor(path: string, draft: string, plan: FilePlan, file: FileHandle) {
    this.path = path;
    this.draft = draft;
    this.plan = plan;
    this.file = file;
  }

  /** Opens the draft and writes the head. Its folder is made when missing. */
  static async create(path: string, plan: FilePlan): Promise<DraftFile> {
    await mkdir(dirname(path), { recursive: true });
    const draft = `${path}.${randomUUID()}.tmp`;
    const made = new DraftFile(path, draft, plan, await open(draft, 'wx'));
    try {
      await made.file.truncate(plan.sizeBytes);
      await made.writeAt(plan.head, 0);
      return made;
    } catch (error) {
      await made.discard();
      throw error;
    }
  }

  /**
   * Writes bytes of a tensor, from byte `offset` of it; they must not change until it is done.
   * @throws RangeError  they leave the tensor's place in the file
   */
  async write(name: string, bytes: Uint8Array, offset = 0): Promise<void> {
    const { begin, end } = this.plan.ranges.get(name) ?? { begin: 0, end: 0 };
    if (begin + offset + bytes.length > end) {
      throw new RangeError(
        `${name} has ${offset + bytes.length} bytes, its place in the file ${end - begin}`,
      );
    }
    await this.writeAt(bytes, begin + offset);
    this.unsynced += bytes.length;
    if (this.unsynced < SYNC_BYTES || this.syncing) return;
    this.unsynced = 0;
    const settle = (error?: unknown): void => {
      this.syncing = undefined;
      this.failure ??= error;
    };
    this.syncing = this.file.datasync().then(() => settle(), settle);
  }

  /** Waits until all is on disk, and gives the file its name. Nothing may be on its way any more. */
  async finish(): Promise<void> {
    await this.syncing;
    // The system reports a failed write once.
    if (this.failure !== undefined) throw this.failure;
    await this.file.sync();
    await this.close();
    await rename(this.draft, this.path);
  }

  /** Removes what was not finished. Nothing may be on its way any more. */
  async discard(): Promise<void> {
    await this.syncing;
    await this.close();
    await rm(this.draft, { force: true });
  }

  private async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.file.close();
  }

  private async writeAt(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.file.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }
}
