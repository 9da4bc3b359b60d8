import type { ArtifactRef } from '@agentforge/contracts';

/** An upload and when it was. */
export interface UploadRecord {
  readonly ref: ArtifactRef;
  readonly time: Date;
}

/** Which artifacts were uploaded; durable. */
export abstract class UploadLog {
  abstract put(ref: ArtifactRef): Promise<void>;
  /** First every upload that is recorded, then new ones, for ever. */
  abstract watch(options: {
    readonly signal: AbortSignal;
    readonly onCaughtUp: () => void;
  }): AsyncIterable<UploadRecord>;
}
