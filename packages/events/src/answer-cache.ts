import type { Logger } from '@agentforge/telemetry';
import type { KV } from '@nats-io/kv';
import { MAX_ANSWER_JSON } from './codec.js';
import { InvalidNameError } from './events.errors.js';
import { BUCKETS } from './subjects.js';

const KEY = /^[0-9a-f]{64}$/;
const PROJECT = /^[A-Za-z0-9_-]{1,63}$/;

/**
 * Answers of subtasks by the digest of what they depend on. It only saves work: whoever does not find an answer, or cannot
 * ask, computes the same one. Answers go after some days, and none is kept while the bucket is full.
 */
export class AnswerCache {
  constructor(
    private readonly bucket: KV,
    private readonly logger: Logger | undefined,
  ) {}

  /**
   * The answer with a key, JSON; undefined when there is none, or when it cannot be read.
   * @param project  answers are not shared between projects
   * @throws InvalidNameError  INVALID_ARGUMENT: a malformed project or key
   */
  async get(project: string, key: string): Promise<string | undefined> {
    const name = nameOf(project, key);
    try {
      const entry = await this.bucket.get(name);
      if (entry?.operation !== 'PUT' || entry.length > MAX_ANSWER_JSON) return undefined;
      const json = entry.string();
      JSON.parse(json);
      return json;
    } catch (error) {
      this.logger?.debug('events.handler_failed', { bucket: BUCKETS.answers, error });
      return undefined;
    }
  }

  /**
   * Keeps an answer. @returns whether it is kept
   * @throws InvalidNameError  INVALID_ARGUMENT: a malformed project or key
   */
  async put(project: string, key: string, json: string): Promise<boolean> {
    const name = nameOf(project, key);
    try {
      await this.bucket.put(name, json);
      return true;
    } catch (error) {
      this.logger?.debug('events.handler_failed', { bucket: BUCKETS.answers, error });
      return false;
    }
  }
}

function nameOf(project: string, key: string): string {
  if (!PROJECT.test(project)) throw new InvalidNameError('project', project);
  if (!KEY.test(key)) throw new InvalidNameError('answer key', key);
  return `${project}.${key}`;
}
