import { type Quota, QuotaSchema, type UpdateQuotaRequest } from '@agentforge/contracts';
import { AppError, type FieldViolation } from '@agentforge/errors';
import type { QuotaLimits, StoredQuota } from '@agentforge/events';
import { Logger } from '@agentforge/telemetry';
import { create } from '@bufbuild/protobuf';
import { Injectable } from '@nestjs/common';
import { InvalidRequestError } from '../pipeline-controller.errors.js';
import { EngineStatusPort } from '../ports/engine-status.port.js';
import { ReadModel } from '../projection/read-model.js';
import { ArtifactQuotaExceededError } from './quota-exceeded.error.js';
import { QuotaStore } from './quota-store.port.js';

const NAME = /^projects\/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/quota$/;
/** Fields that may be set, as requests name them. */
const FIELDS = {
  max_running_runs: 'maxRunningRuns',
  max_queued_runs: 'maxQueuedRuns',
  max_running_steps: 'maxRunningSteps',
  max_artifact_bytes: 'maxArtifactBytes',
  weight: 'weight',
} as const satisfies Record<string, keyof QuotaLimits>;
const MAX_WEIGHT = 1_000;

/** What callers can do with quotas, and what quotas forbid at the front door. */
@Injectable()
export class QuotaUseCases {
  constructor(
    private readonly quotas: QuotaStore,
    private readonly status: EngineStatusPort,
    private readonly readModel: ReadModel,
    private readonly logger: Logger,
  ) {}

  /** The limits of a project and what it uses. @throws INVALID_ARGUMENT, UNAVAILABLE */
  async get(name: string): Promise<Quota> {
    const project = projectOf(name, 'name');
    return this.#shown(project, await this.quotas.get(project));
  }

  /** Sets limits. @throws INVALID_ARGUMENT, ABORTED, UNAVAILABLE */
  async update({ quota, updateMask }: UpdateQuotaRequest): Promise<Quota> {
    if (quota === undefined) throw new InvalidRequestError([{ field: 'quota', description: 'is missing' }]);
    const project = projectOf(quota.name, 'quota.name');
    const paths = updateMask?.paths.length ? updateMask.paths : Object.keys(FIELDS);
    const violations = paths.flatMap((path) => pathViolations(path, quota));
    if (violations.length > 0) throw new InvalidRequestError(violations);
    const stored = await this.quotas.get(project);
    if (quota.etag !== '' && quota.etag !== String(stored.revision))
      throw new AppError('ABORTED', `the quota of "${project}" was changed in between; read it again`, {
        reason: 'ETAG_MISMATCH',
        metadata: { etag: String(stored.revision) },
      });
    const limits = { ...stored.limits };
    for (const path of paths) if (isField(path)) limits[FIELDS[path]] = Number(quota[FIELDS[path]]);
    const revision = await this.quotas.put(project, limits, stored.revision);
    this.logger.info('quota.changed', { projectId: project, config: JSON.stringify(limits) });
    return this.#shown(project, { limits, revision });
  }

  /**
   * Counts the bytes of an upload while they come, and ends it where the quota of its project does. Content that counts
   * for a project already is not counted again.
   * @param digest  what the caller says that the content has; empty when nothing is said
   * @throws RESOURCE_EXHAUSTED
   */
  async *metered(
    project: string,
    digest: string,
    body: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    const isKnown = project === '' || this.readModel.artifacts.bytes.ownerOf(digest) !== '';
    const limit = isKnown ? 0 : (await this.quotas.get(project)).limits.maxArtifactBytes;
    let used = this.readModel.artifacts.bytes.of(project);
    for await (const chunk of body) {
      used += chunk.length;
      if (limit > 0 && used > limit) throw this.#exceeded(project, limit, used);
      yield chunk;
    }
  }

  /** Whether a project may start something that will store artifacts. @throws RESOURCE_EXHAUSTED */
  async checkRoom(project: string): Promise<void> {
    const limit = (await this.quotas.get(project)).limits.maxArtifactBytes;
    const used = this.readModel.artifacts.bytes.of(project);
    if (limit > 0 && used >= limit) throw this.#exceeded(project, limit, used);
  }

  #exceeded(project: string, limit: number, value: number): AppError {
    this.logger.info('quota.refused', { projectId: project, name: 'max_artifact_bytes', limit, value });
    return new ArtifactQuotaExceededError(project, limit, value);
  }

  async #shown(project: string, { limits, revision }: StoredQuota): Promise<Quota> {
    const { runningRuns, queuedRuns, runningSteps, leased } = await this.status.usageOf(project);
    const artifactBytes = BigInt(this.readModel.artifacts.bytes.of(project));
    return create(QuotaSchema, {
      ...limits,
      name: `projects/${project}/quota`,
      maxArtifactBytes: BigInt(limits.maxArtifactBytes),
      usage: { runningRuns, queuedRuns, runningSteps, artifactBytes, ...(leased ? { leased } : {}) },
      etag: String(revision),
    });
  }
}

const isField = (path: string): path is keyof typeof FIELDS => Object.hasOwn(FIELDS, path);

function pathViolations(path: string, quota: Quota): FieldViolation[] {
  if (!isField(path))
    return [
      {
        field: 'update_mask',
        description: `names ${JSON.stringify(path.slice(0, 80))}; fields are ${Object.keys(FIELDS).join(', ')}`,
      },
    ];
  const value = Number(quota[FIELDS[path]]);
  const max = path === 'weight' ? MAX_WEIGHT : Number.MAX_SAFE_INTEGER;
  if (value >= 0 && value <= max) return [];
  return [{ field: `quota.${path}`, description: `is ${value}; must be 0 to ${max}` }];
}

function projectOf(name: string, field: string): string {
  const project = NAME.exec(name)?.[1];
  if (project === undefined)
    throw new InvalidRequestError([
      { field, description: `is ${JSON.stringify(name.slice(0, 200))}; must be "projects/{project}/quota"` },
    ]);
  return project;
}
