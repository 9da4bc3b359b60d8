import type { DraftFile } from '@agentforge/model';
import { encodeWeights, type StoredType, type Tensor } from '@agentforge/tensor';

/** Numbers that are written at once. */
const PART = 1 << 19;
/** Parts that are on their way to files at most. */
const BUFFERS = 4;

/** Results on their way to files: the next is computed while earlier ones are written. */
export class Outbox {
  private readonly free: ArrayBuffer[] = Array.from({ length: BUFFERS }, () => new ArrayBuffer(4 * PART));
  private readonly sent = new Set<Promise<void>>();
  private failure: unknown;

  /**
   * Puts elements of a tensor where a file has them, from its element `at` on; the tensor may go when this is done.
   * @throws whatever a file that was written before failed with
   */
  async send(result: Tensor, type: StoredType, draft: DraftFile, name: string, at: number): Promise<void> {
    const width = type === 'F32' ? 4 : 2;
    for (let begin = 0; begin < result.size; begin += PART) {
      while (this.free.length === 0) await Promise.race(this.sent);
      if (this.failure !== undefined) throw this.failure;
      const buffer = this.free.pop() as ArrayBuffer;
      const bytes = new Uint8Array(buffer, 0, width * Math.min(PART, result.size - begin));
      encodeWeights(result, type, bytes, begin);
      const writing = draft
        .write(name, bytes, width * (at + begin))
        .catch((error: unknown) => {
          this.failure ??= error;
        })
        .then(() => {
          this.sent.delete(writing);
          this.free.push(buffer);
        });
      this.sent.add(writing);
    }
  }

  /** Waits until nothing is on its way. @throws whatever a file failed with */
  async empty(): Promise<void> {
    await this.settle();
    if (this.failure !== undefined) throw this.failure;
  }

  /** Waits until nothing is on its way, however it went. */
  async settle(): Promise<void> {
    await Promise.all(this.sent);
  }
}
