import { createHash } from 'node:crypto';
import type { KV } from '@nats-io/kv';
import { API_CODES, apiCodeOf } from './stream/server-reply.js';

/** Which run a request id of a project stands for: the first claim counts, whichever replica makes it. */
export class RequestIndex {
  constructor(private readonly bucket: KV) {}

  /**
   * Claims a request id for a run, if it stands for none.
   * @returns the run that it stands for: this one, or an earlier one
   */
  async claim(project: string, requestId: string, run: string): Promise<string> {
    const key = keyOf(project, requestId);
    try {
      await this.bucket.create(key, run);
      return run;
    } catch (error) {
      if (apiCodeOf(error) !== API_CODES.wrongLastSequence) throw error;
    }
    const entry = await this.bucket.get(key);
    return entry?.operation === 'PUT' ? entry.string() : run;
  }

  /** Gives a claim back whose run was refused. */
  async release(project: string, requestId: string, run: string): Promise<void> {
    const key = keyOf(project, requestId);
    const entry = await this.bucket.get(key);
    if (entry?.operation !== 'PUT' || entry.string() !== run) return;
    try {
      await this.bucket.delete(key, { previousSeq: entry.revision });
    } catch (error) {
      if (apiCodeOf(error) !== API_CODES.wrongLastSequence) throw error;
    }
  }
}

/** Request ids are free text; keys are not. */
const keyOf = (project: string, requestId: string): string =>
  createHash('sha256').update(`${project}/${requestId}`).digest('hex');
