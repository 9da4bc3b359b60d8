import { AppError } from '@agentforge/errors';

/** RESOURCE_EXHAUSTED: the artifacts of a project take as many bytes as its quota allows. */
export class ArtifactQuotaExceededError extends AppError {
  constructor(project: string, limit: number, used: number) {
    super(
      'RESOURCE_EXHAUSTED',
      `artifacts of project "${project}" take ${used} of ${limit} bytes (max_artifact_bytes); raise the quota`,
      {
        reason: 'QUOTA_EXCEEDED',
        metadata: { project, quota: 'max_artifact_bytes', limit: String(limit), used: String(used) },
        retryAfterMs: 60_000,
      },
    );
  }
}
