import type { ArtifactRef } from '@agentforge/contracts';

/** An upload and when it was. */
export interface UploadRecord {
  readonly ref: ArtifactRef;
  /** The project that its bytes count for; empty for none. */
  readonly project: string;
  readonly time: Date;
  /** Since when they do. */
  readonly since: Date;
}

/** Which artifacts were uploaded; durable. */
export abstract class UploadLog {
  abstract put(ref: ArtifactRef, project: string): Promise<void>;
  /** First every upload that is recorded, then new ones, for ever. */
  abstract watch(options: {
    readonly signal: AbortSignal;
    readonly onCaughtUp: () => void;
  }): AsyncIterable<UploadRecord>;
}
