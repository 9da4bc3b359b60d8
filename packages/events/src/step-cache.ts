import { createHash } from 'node:crypto';
import { type StepResult, StepResultSchema } from '@agentforge/contracts';
import type { Logger } from '@agentforge/telemetry';
import { fromJson, type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf';
import type { KV, KvEntry } from '@nats-io/kv';
import { InvalidNameError } from './events.errors.js';
import { BUCKETS } from './subjects.js';

/** A result that other steps of the project may take over. */
export interface CachedStep {
  /** Id of the project: results are not shared between projects. */
  readonly project: string;
  /** "sha256:" and the digest of the facts. */
  readonly key: string;
  readonly phase: string;
  /** All that the result depends on, as whoever made the key spelt it. */
  readonly facts: JsonObject;
  readonly result: StepResult;
  /** `projects/{project}/runs/{run}` of the step that did the work. */
  readonly sourceRun: string;
  readonly sourceStepId: string;
}

/** Places of a phase in which its newest results are noted, so that a miss can be compared with them. */
const NEIGHBOURS = 16;
const KEY = /^sha256:([0-9a-f]{64})$/;
const TOKEN = /^[A-Za-z0-9_-]{1,63}$/;

/**
 * Results by the digest of what they depend on. An entry is written whole and never changed in part, so whoever
 * writes last wins, and no writer waits for another one.
 */
export class StepCache {
  constructor(
    private readonly bucket: KV,
    private readonly logger: Logger | undefined,
  ) {}

  /**
   * Keeps a result, in place of an earlier one with its key.
   * @throws InvalidNameError  INVALID_ARGUMENT: a malformed project, phase or key
   */
  async put(step: CachedStep): Promise<void> {
    const { result, ...rest } = step;
    const text = JSON.stringify({ ...rest, result: toJson(StepResultSchema, result) });
    await this.bucket.put(entryKey(step.project, step.key), text);
    await this.bucket.put(placeKey(step.project, step.phase, placeOf(step.sourceStepId)), step.key);
  }

  /** The result with a key. One that cannot be read counts as none, and is logged. */
  async get(project: string, key: string): Promise<CachedStep | undefined> {
    const name = entryKey(project, key);
    const entry = await this.bucket.get(name);
    return entry?.operation === 'PUT' ? this.#parse(name, entry) : undefined;
  }

  /** Forgets a result. */
  async remove(project: string, key: string): Promise<void> {
    await this.bucket.purge(entryKey(project, key));
  }

  /**
   * Some of the newest results of a phase, at most 16; among them, as far as it is kept, the newest of a step with
   * this id. A bounded number of reads, whatever the cache holds.
   */
  async neighbours(project: string, phase: string, stepId: string): Promise<CachedStep[]> {
    const own = placeOf(stepId);
    const places = Array.from({ length: NEIGHBOURS }, (_, i) => (own + i) % NEIGHBOURS);
    const notes = await Promise.all(places.map((i) => this.bucket.get(placeKey(project, phase, i))));
    const keys = notes.flatMap((note) => (note?.operation === 'PUT' ? [note.string()] : []));
    const found = await Promise.all([...new Set(keys)].map((key) => this.get(project, key)));
    return found.filter((step) => step !== undefined);
  }

  #parse(name: string, entry: KvEntry): CachedStep | undefined {
    try {
      const { result, ...rest } = entry.json<Omit<CachedStep, 'result'> & { result: JsonValue }>();
      return { ...rest, result: fromJson(StepResultSchema, result, { ignoreUnknownFields: true }) };
    } catch (error) {
      this.logger?.warn('events.handler_failed', { bucket: BUCKETS.stepCache, name, error });
      return undefined;
    }
  }
}

/** Steps of one id share a place, so that the newest of them is always there. */
const placeOf = (stepId: string): number =>
  (createHash('sha256').update(stepId).digest()[0] ?? 0) % NEIGHBOURS;

function entryKey(project: string, key: string): string {
  const hex = KEY.exec(key)?.[1];
  if (hex === undefined) throw new InvalidNameError('cache key', key);
  return `entry.${checked(project, 'project')}.${hex}`;
}

const placeKey = (project: string, phase: string, place: number): string =>
  `newest.${checked(project, 'project')}.${checked(phase, 'phase')}.${place}`;

function checked(text: string, what: string): string {
  if (!TOKEN.test(text)) throw new InvalidNameError(what, text);
  return text;
}
