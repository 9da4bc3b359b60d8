import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ArtifactRef } from '@agentforge/contracts';
import { type Logger, type Metrics, withSpan } from '@agentforge/telemetry';
import {
  ArtifactNotFoundError,
  ArtifactTooLargeError,
  DigestMismatchError,
  UnexpectedDigestError,
} from './artifact.errors.js';
import {
  ArtifactStore,
  type Collection,
  type CollectOptions,
  type PutOptions,
  type ReadOptions,
  type StoredBlob,
} from './artifact-store.js';
import { hexOf, isDigest, parseDigest } from './digest.js';
import { asStorageError, isMissing } from './disk-errors.js';
import { emptyTrash, markLive, sweep } from './garbage-collection.js';
import { createTempFile, removeStaleTempFiles } from './temp-files.js';

/** How a folder is used. */
export interface FolderStoreOptions {
  /** Folder of the store; made when it is not there. Several processes may share it. */
  readonly directory: string;
  /** Largest blob, bytes. Default 64 GiB. */
  readonly maxBlobBytes?: number;
  /** Largest manifest, bytes. Default 4 MiB. */
  readonly maxManifestBytes?: number;
  /** Silence after which a half-written file counts as left behind, ms. Default 24 h. */
  readonly staleTempMs?: number;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const DAY_MS = 86_400_000;
/** Chunk of a read. */
const CHUNK_BYTES = MIB;
/** A collection moves content aside for a moment before it decides; a reader looks this often again. */
const RETRIES = 20;
const RETRY_MS = 10;

/**
 * Artifacts in a folder: `sha256/ab/cdef…` holds content, `tmp/` what is being written, `trash/` what a
 * collection is deciding about. Content gets its name by a rename after it was verified and flushed to disk.
 */
export class FolderArtifactStore extends ArtifactStore {
  protected readonly maxManifestBytes: number;
  private readonly root: string;
  private readonly temp: string;
  private readonly trash: string;
  private readonly maxBlobBytes: number;

  private constructor(private readonly options: FolderStoreOptions) {
    super();
    const directory = resolve(options.directory);
    this.root = join(directory, 'sha256');
    this.temp = join(directory, 'tmp');
    this.trash = join(directory, 'trash');
    this.maxBlobBytes = options.maxBlobBytes ?? 64 * GIB;
    this.maxManifestBytes = options.maxManifestBytes ?? 4 * MIB;
  }

  /** Opens a store and removes what crashed writers left. */
  static async open(options: FolderStoreOptions): Promise<FolderArtifactStore> {
    const store = new FolderArtifactStore(options);
    for (const folder of [store.root, store.temp, store.trash]) await mkdir(folder, { recursive: true });
    await removeStaleTempFiles(store.temp, options.staleTempMs ?? DAY_MS);
    return store;
  }

  put(content: Uint8Array | AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<ArtifactRef> {
    const { expectedDigest } = options;
    return this.measured('write', async () => {
      if (expectedDigest !== undefined) parseDigest(expectedDigest);
      const { path, handle } = await createTempFile(this.temp).catch(rethrow);
      try {
        const { digest, sizeBytes } = await this.fill(handle, content, options);
        if (expectedDigest !== undefined && digest !== expectedDigest)
          throw new UnexpectedDigestError(expectedDigest, digest);
        await this.place(path, digest);
        this.options.logger?.debug('artifact.written', { artifactDigest: digest, sizeBytes });
        return { value: this.refTo(digest, sizeBytes, options), sizeBytes };
      } catch (error) {
        await rm(path, { force: true });
        throw asStorageError(error);
      }
    });
  }

  async *open(digest: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const path = this.pathOf(digest);
    const handle = await this.present(digest, () => open(path, constants.O_RDONLY | constants.O_NOFOLLOW));
    const hash = createHash('sha256');
    let held: Uint8Array | undefined;
    try {
      for (let chunk = await readChunk(handle); chunk; chunk = await readChunk(handle)) {
        options.signal?.throwIfAborted();
        hash.update(chunk);
        if (held) yield held;
        held = chunk;
      }
    } finally {
      await handle.close();
    }
    const actual = `sha256:${hash.digest('hex')}`;
    if (actual !== digest) {
      this.options.logger?.error('artifact.corrupt', { artifactDigest: digest });
      throw new DigestMismatchError(digest, actual);
    }
    if (held) yield held;
  }

  async stat(digest: string): Promise<StoredBlob | undefined> {
    try {
      const { size, mtime } = await this.present(digest, () => stat(this.pathOf(digest)));
      return { digest, sizeBytes: size, createTime: mtime };
    } catch (error) {
      if (error instanceof ArtifactNotFoundError) return undefined;
      throw error;
    }
  }

  async *list(): AsyncGenerator<StoredBlob, void, undefined> {
    for (const prefix of await readdir(this.root)) {
      for (const rest of await readdir(join(this.root, prefix)).catch(() => [])) {
        const digest = `sha256:${prefix}${rest}`;
        const blob = isDigest(digest) ? await this.stat(digest) : undefined;
        if (blob) yield blob;
      }
    }
  }

  async refresh(digests: Iterable<string>): Promise<void> {
    const now = new Date();
    for (const digest of digests) await this.present(digest, () => utimes(this.pathOf(digest), now, now));
  }

  async gc(live: Iterable<string> | AsyncIterable<string>, options: CollectOptions): Promise<Collection> {
    const files = { trash: this.trash, pathOf: (digest: string) => this.pathOf(digest) };
    await emptyTrash(files);
    const needed = await markLive(live, async (digest) => {
      const blob = await this.stat(digest);
      return blob ? await this.asManifest(blob) : undefined;
    });
    const collection = await sweep(this.list(), needed, files, options);
    if (!options.dryRun && collection.removed > 0) {
      this.options.metrics?.counter('artifactsCollected').inc({}, collection.removed);
      this.options.logger?.info('artifact.collected', {
        count: collection.removed,
        sizeBytes: collection.removedBytes,
      });
    }
    return collection;
  }

  private pathOf(digest: string): string {
    const hex = hexOf(digest);
    return join(this.root, hex.slice(0, 2), hex.slice(2));
  }

  /** Writes all content, flushed to disk, and closes the file in any case. */
  private async fill(
    handle: FileHandle,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    options: PutOptions,
  ): Promise<{ digest: string; sizeBytes: number }> {
    const limit = Math.min(options.maxBytes ?? this.maxBlobBytes, this.maxBlobBytes);
    const hash = createHash('sha256');
    let sizeBytes = 0;
    try {
      for await (const chunk of content instanceof Uint8Array ? [content] : content) {
        options.signal?.throwIfAborted();
        sizeBytes += chunk.length;
        if (sizeBytes > limit) throw new ArtifactTooLargeError(limit);
        hash.update(chunk);
        await handle.writeFile(chunk);
      }
      options.signal?.throwIfAborted();
      await handle.sync();
    } finally {
      await handle.close();
    }
    return { digest: `sha256:${hash.digest('hex')}`, sizeBytes };
  }

  /** Gives written content its name. Replaces what has the name: it is the same, or corrupt. */
  private async place(path: string, digest: string): Promise<void> {
    const target = this.pathOf(digest);
    await mkdir(dirname(target), { recursive: true });
    await rename(path, target);
    const folder = await open(dirname(target), constants.O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  /** Runs an operation on stored content; looks again while a collection holds the content aside. */
  private async present<T>(digest: string, operation: () => Promise<T>): Promise<T> {
    let mayComeBack = true;
    for (let attempt = 0; ; attempt++) {
      try {
        return await operation();
      } catch (error) {
        if (!isMissing(error)) throw error;
        const aside = await stat(join(this.trash, hexOf(digest))).catch(() => undefined);
        // It may have come back between the two looks, so content is missing only when it was not aside before either.
        if (!(aside || mayComeBack) || attempt >= RETRIES) throw new ArtifactNotFoundError(digest);
        mayComeBack = aside !== undefined;
      }
      if (attempt > 0) await sleep(RETRY_MS);
    }
  }

  private async measured<T>(
    operation: 'write',
    run: () => Promise<{ value: T; sizeBytes: number }>,
  ): Promise<T> {
    const startedAt = performance.now();
    const observe = (outcome: string) =>
      this.options.metrics
        ?.histogram('artifactDuration')
        .observe({ operation, outcome }, (performance.now() - startedAt) / 1000);
    try {
      const { value, sizeBytes } = await withSpan('artifact.write', {}, run);
      this.options.metrics?.histogram('artifactBytes').observe({ operation }, sizeBytes);
      observe('ok');
      return value;
    } catch (error) {
      observe('error');
      throw error;
    }
  }
}

async function readChunk(handle: FileHandle): Promise<Uint8Array | undefined> {
  const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(CHUNK_BYTES), 0, CHUNK_BYTES);
  return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead);
}

function rethrow(error: unknown): never {
  throw asStorageError(error);
}
