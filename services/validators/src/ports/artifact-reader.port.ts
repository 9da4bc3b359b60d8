import type { FileSource } from '@agentforge/model';

/** A model's files, readable from front to back without holding them in memory. */
export interface ModelFiles {
  readonly source: FileSource;
  /** Digest of each file by path. */
  readonly digests: ReadonlyMap<string, string>;
}

/** Reads artifacts. Bytes that do not match their digest are an error with code DATA_LOSS; what is not there, NOT_FOUND. */
export abstract class ArtifactReader {
  /** Reads every byte; returns what does not match, one line each. */
  abstract verify(digest: string): Promise<readonly string[]>;
  abstract model(digest: string): Promise<ModelFiles>;
  abstract open(digest: string): AsyncIterable<Uint8Array>;
  abstract readText(digest: string, maxBytes: number): Promise<string>;
}
