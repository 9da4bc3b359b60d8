import type { Logger } from '@agentforge/telemetry';
import type { KV } from '@nats-io/kv';
import { InvalidNameError, RevisionConflictError } from './events.errors.js';
import type { Connection } from './stream/connection.js';
import { tailMessages } from './stream/read-messages.js';
import { API_CODES, apiCodeOf } from './stream/server-reply.js';
import { BUCKETS } from './subjects.js';

/** Limits of a project; 0 is none. */
export interface QuotaLimits {
  readonly maxRunningRuns: number;
  readonly maxQueuedRuns: number;
  readonly maxRunningSteps: number;
  readonly maxArtifactBytes: number;
  /** Share of contested resources relative to other projects; 0 means 1. */
  readonly weight: number;
}

/** Limits as they are stored. */
export interface StoredQuota {
  readonly limits: QuotaLimits;
  /** 0 for a project that nobody limited. */
  readonly revision: number;
}

/** No limits. */
export const NO_LIMITS: QuotaLimits = {
  maxRunningRuns: 0,
  maxQueuedRuns: 0,
  maxRunningSteps: 0,
  maxArtifactBytes: 0,
  weight: 0,
};

const PREFIX = `$KV.${BUCKETS.quotas}.`;
const PROJECT = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** The limits of projects. */
export class QuotaBook {
  constructor(
    private readonly connection: Connection,
    private readonly bucket: KV,
    private readonly logger: Logger | undefined,
  ) {}

  /** The limits of a project. */
  async get(project: string): Promise<StoredQuota> {
    const entry = await this.bucket.get(checkProject(project));
    if (entry === null) return { limits: NO_LIMITS, revision: 0 };
    return { limits: this.#parse(project, entry.value) ?? NO_LIMITS, revision: entry.revision };
  }

  /**
   * Sets the limits of a project.
   * @returns the new revision
   * @throws RevisionConflictError ABORTED: somebody changed them in between
   */
  async put(project: string, limits: QuotaLimits, revision: number): Promise<number> {
    try {
      const text = JSON.stringify(limits);
      return revision === 0
        ? await this.bucket.create(checkProject(project), text)
        : await this.bucket.update(checkProject(project), text, revision);
    } catch (error) {
      if (apiCodeOf(error) !== API_CODES.wrongLastSequence) throw error;
      throw new RevisionConflictError(`quota ${project}`, BigInt(revision), undefined);
    }
  }

  /** First the limits of every project that has any, then every change, without end. */
  async *watch(
    options: { readonly signal?: AbortSignal; readonly onCaughtUp?: () => void } = {},
  ): AsyncGenerator<{ readonly project: string; readonly limits: QuotaLimits }, void, undefined> {
    const messages = tailMessages(this.connection, {
      stream: `KV_${BUCKETS.quotas}`,
      filter: `${PREFIX}>`,
      startSequence: 1,
      signal: options.signal,
      onCaughtUp: options.onCaughtUp,
      logger: this.logger,
    });
    for await (const message of messages) {
      const project = message.subject.slice(PREFIX.length);
      const isGone = message.header('KV-Operation') !== undefined;
      yield { project, limits: (isGone ? undefined : this.#parse(project, message.data)) ?? NO_LIMITS };
    }
  }

  /** Limits that cannot be read count as none, and are logged: a project must not stand still for that. */
  #parse(project: string, data: Uint8Array): QuotaLimits | undefined {
    try {
      const stored: Record<string, unknown> = JSON.parse(Buffer.from(data).toString('utf8'));
      const limit = (name: keyof QuotaLimits) => {
        const value = Number(stored[name] ?? 0);
        if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name} is ${stored[name]}`);
        return value;
      };
      return {
        maxRunningRuns: limit('maxRunningRuns'),
        maxQueuedRuns: limit('maxQueuedRuns'),
        maxRunningSteps: limit('maxRunningSteps'),
        maxArtifactBytes: limit('maxArtifactBytes'),
        weight: limit('weight'),
      };
    } catch (error) {
      this.logger?.error('events.handler_failed', { bucket: BUCKETS.quotas, projectId: project, error });
      return undefined;
    }
  }
}

function checkProject(project: string): string {
  if (!PROJECT.test(project)) throw new InvalidNameError('project', project);
  return project;
}
