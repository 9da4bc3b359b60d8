import { type ArtifactStore, MEDIA_TYPES } from '@agentforge/artifacts';
import type { ArtifactRef } from '@agentforge/contracts';
import type { Checkpoint, FileSet, StoredBlob } from './phase-context.js';
import { UnusableCheckpointError } from './worker.errors.js';

/** Facts that every checkpoint carries. */
export interface CheckpointFacts {
  readonly phase: string;
  readonly version: string;
  readonly seed: bigint;
  /** Wall time of the work up to the checkpoint, over all deliveries. */
  readonly wallSeconds: number;
}

/** Stores the files of a set that are bytes; returns what a manifest lists. */
export async function storeFiles(store: ArtifactStore, files: FileSet) {
  const stored: { path: string; digest: string; sizeBytes: bigint }[] = [];
  for (const [path, file] of files) {
    const blob = file instanceof Uint8Array ? await store.put(file) : file;
    stored.push({ path, digest: blob.digest, sizeBytes: blob.sizeBytes });
  }
  return stored;
}

/** Stores a checkpoint: its files, then the manifest that lists them. */
export async function writeCheckpoint(
  store: ArtifactStore,
  files: FileSet,
  facts: CheckpointFacts,
): Promise<ArtifactRef> {
  return store.putManifest(
    {
      files: await storeFiles(store, files),
      annotations: {
        phase: facts.phase,
        version: facts.version,
        seed: String(facts.seed),
        wall_seconds: facts.wallSeconds.toFixed(3),
      },
    },
    { name: `${facts.phase}-checkpoint`, type: 'checkpoint', mediaType: MEDIA_TYPES.checkpoint },
  );
}

/**
 * Opens a checkpoint and checks that it is of this phase, version and seed, and that all of its files are there
 * with the size the manifest states. Content is verified when it is read.
 * @throws UnusableCheckpointError  FAILED_PRECONDITION: it is of something else or incomplete
 * @throws ArtifactNotFoundError, DigestMismatchError  the manifest is gone or corrupt
 */
export async function openCheckpoint(
  store: ArtifactStore,
  ref: ArtifactRef,
  expected: Omit<CheckpointFacts, 'wallSeconds'>,
): Promise<Checkpoint & { readonly wallSeconds: number }> {
  const { files, annotations } = await store.getManifest(ref.digest);
  for (const [fact, value] of Object.entries({ ...expected, seed: String(expected.seed) })) {
    if (annotations[fact] !== value) {
      throw new UnusableCheckpointError(`its ${fact} is ${annotations[fact] ?? 'absent'}, not ${value}`);
    }
  }
  const listed = new Map<string, StoredBlob>();
  for (const { path, digest, sizeBytes } of files) {
    const blob = await store.stat(digest);
    if (!blob) throw new UnusableCheckpointError(`${path} is not in the store`);
    listed.set(path, { digest, sizeBytes });
  }
  const wallSeconds = Number(annotations['wall_seconds']);
  return {
    files: listed,
    wallSeconds: Number.isFinite(wallSeconds) && wallSeconds >= 0 ? wallSeconds : 0,
    read: async (path) => {
      const blob = listed.get(path);
      if (!blob) throw new UnusableCheckpointError(`it has no file ${path}`);
      return plain(await store.readBytes(blob.digest));
    },
  };
}

/** The same memory as a plain array: the `slice` of a Buffer is a view, that of a Uint8Array a copy. */
export function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
