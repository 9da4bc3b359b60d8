import { type ArtifactRef, ArtifactRefSchema, type Manifest } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { ArtifactNotFoundError, ArtifactTooLargeError, DigestMismatchError } from './artifact.errors.js';
import { MEDIA_TYPES } from './artifact-types.js';
import { parseDigest } from './digest.js';
import {
  decodeManifest,
  encodeManifest,
  type ManifestInit,
  toManifest,
  tryDecodeManifest,
} from './manifest.js';
import { folderToManifest, materialiseManifest } from './manifest-folder.js';

/** Stored content. */
export interface StoredBlob {
  /** "sha256:" and 64 hexadecimal digits. */
  readonly digest: string;
  readonly sizeBytes: number;
  /** When it was stored, or last stored again or refreshed. */
  readonly createTime: Date;
}

/** What the reference to stored content says. */
export interface RefOptions {
  /** Human-readable name. */
  readonly name?: string;
  /** Artifact type as ports name it. */
  readonly type?: string;
  readonly mediaType?: string;
}

/** How content is stored. */
export interface PutOptions extends RefOptions {
  /** The content must have this digest. */
  readonly expectedDigest?: string;
  /** Most bytes accepted; default the store's limit. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

/** How content is read. */
export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/** How a folder becomes an artifact. */
export interface PutFolderOptions extends RefOptions {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** What a verification found. */
export interface Verification {
  /** Whether every byte is there and matches. */
  readonly valid: boolean;
  /** What does not match, one line each. */
  readonly problems: readonly string[];
  readonly verifiedBytes: bigint;
}

/** What a garbage collection did. */
export interface Collection {
  readonly removed: number;
  readonly removedBytes: bigint;
  readonly kept: number;
  readonly keptBytes: bigint;
}

/** What a garbage collection may do. */
export interface CollectOptions {
  /** Content younger than this stays, so that what a run is about to refer to survives. */
  readonly minAgeMs: number;
  /** Count only. */
  readonly dryRun?: boolean;
}

/** Largest content that `readBytes` returns unless told otherwise. */
const MAX_READ_BYTES = 2 ** 31 - 1;

/**
 * Immutable content by digest. Storing the same bytes twice stores them once; reading verifies. A driver gives
 * the primitives, everything about manifests is here.
 */
export abstract class ArtifactStore {
  /** Largest manifest, bytes. */
  protected abstract readonly maxManifestBytes: number;

  /**
   * Stores content. Nothing is kept of content that fails.
   * @throws UnexpectedDigestError  INVALID_ARGUMENT: not the expected digest
   * @throws ArtifactTooLargeError  RESOURCE_EXHAUSTED: more than the limit
   * @throws InsufficientStorageError  RESOURCE_EXHAUSTED: no space left
   */
  abstract put(content: Uint8Array | AsyncIterable<Uint8Array>, options?: PutOptions): Promise<ArtifactRef>;

  /**
   * Content in chunks of at most 1 MiB. The last chunk comes only after the digest was verified.
   * @throws ArtifactNotFoundError  NOT_FOUND
   * @throws DigestMismatchError  DATA_LOSS
   */
  abstract open(digest: string, options?: ReadOptions): AsyncIterable<Uint8Array>;

  /** What is known without reading; undefined when there is no such content. */
  abstract stat(digest: string): Promise<StoredBlob | undefined>;

  /** All stored content, in no particular order. */
  abstract list(): AsyncIterable<StoredBlob>;

  /** Restarts the age of content. @throws ArtifactNotFoundError NOT_FOUND: one is gone */
  abstract refresh(digests: Iterable<string>): Promise<void>;

  /**
   * Removes old content that no live digest needs; the files of live manifests are needed. Safe while others
   * store and read.
   * @throws DigestMismatchError  DATA_LOSS: a live artifact is corrupt, so its files are unknown; nothing is removed
   */
  abstract gc(live: Iterable<string> | AsyncIterable<string>, options: CollectOptions): Promise<Collection>;

  /** Verified content. @throws ArtifactTooLargeError RESOURCE_EXHAUSTED: more than `maxBytes`, default 2 GiB */
  async readBytes(
    digest: string,
    options: ReadOptions & { readonly maxBytes?: number } = {},
  ): Promise<Uint8Array> {
    const { maxBytes = MAX_READ_BYTES } = options;
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this.open(digest, options)) {
      size += chunk.length;
      if (size > maxBytes) throw new ArtifactTooLargeError(maxBytes);
      chunks.push(chunk);
    }
    return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
  }

  /** Verified content as text. @throws TypeError not UTF-8 */
  async readText(
    digest: string,
    options: ReadOptions & { readonly maxBytes?: number } = {},
  ): Promise<string> {
    return new TextDecoder('utf-8', { fatal: true }).decode(await this.readBytes(digest, options));
  }

  /** Verified content as JSON. @throws SyntaxError not JSON */
  async readJson(
    digest: string,
    options: ReadOptions & { readonly maxBytes?: number } = {},
  ): Promise<unknown> {
    return JSON.parse(await this.readText(digest, options));
  }

  /**
   * Stores a manifest of files that are stored already, and restarts their age.
   * @returns a reference whose size is that of the manifest and all its files
   * @throws InvalidManifestError  INVALID_ARGUMENT
   * @throws ArtifactNotFoundError  NOT_FOUND: a file is not stored
   */
  async putManifest(init: ManifestInit, options: RefOptions = {}): Promise<ArtifactRef> {
    const manifest = toManifest(init);
    await this.refresh(new Set(manifest.files.map(({ digest }) => digest)));
    for (const { path, digest, sizeBytes } of manifest.files) {
      const stored = await this.stat(digest);
      if (!stored || BigInt(stored.sizeBytes) !== sizeBytes)
        throw new ArtifactNotFoundError(`file ${path} of ${sizeBytes} bytes with ${digest}`);
    }
    const ref = await this.put(encodeManifest(manifest), {
      mediaType: MEDIA_TYPES.json,
      ...options,
      maxBytes: this.maxManifestBytes,
    });
    for (const { sizeBytes } of manifest.files) ref.sizeBytes += sizeBytes;
    return ref;
  }

  /** A stored manifest. @throws InvalidManifestError INVALID_ARGUMENT: the content is no manifest */
  async getManifest(digest: string, options: ReadOptions = {}): Promise<Manifest> {
    return decodeManifest(await this.readBytes(digest, { ...options, maxBytes: this.maxManifestBytes }));
  }

  /** The bytes of one file of a manifest. @throws ArtifactNotFoundError NOT_FOUND: no such file */
  async readFile(manifestDigest: string, path: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return this.readBytes(await this.fileDigest(manifestDigest, path), options);
  }

  /** One file of a manifest in chunks, verified. @throws ArtifactNotFoundError NOT_FOUND: no such file */
  async *openFile(
    manifestDigest: string,
    path: string,
    options: ReadOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.open(await this.fileDigest(manifestDigest, path), options);
  }

  /** Stores a folder's regular files and a manifest of them. @throws InvalidManifestError a link or special file */
  async putFolder(folder: string, options: PutFolderOptions = {}): Promise<ArtifactRef> {
    const { annotations = {}, signal, ...ref } = options;
    const files = await folderToManifest(this, folder, signal);
    return this.putManifest({ files, annotations }, ref);
  }

  /**
   * Writes a manifest's files into a folder, all of them or none.
   * @returns the paths, in order
   * @throws FolderNotEmptyError  FAILED_PRECONDITION: the folder holds something
   */
  async materialise(manifestDigest: string, folder: string, options: ReadOptions = {}): Promise<string[]> {
    return materialiseManifest(this, await this.getManifest(manifestDigest, options), folder, options.signal);
  }

  /** Reads every byte of an artifact, files of a manifest included. @throws ArtifactNotFoundError NOT_FOUND */
  async verify(digest: string, options: ReadOptions = {}): Promise<Verification> {
    const root = await this.stat(digest);
    if (!root) throw new ArtifactNotFoundError(digest);
    const problems: string[] = [];
    let verifiedBytes = BigInt(await this.check(digest, digest, problems, options));
    const manifest = problems.length === 0 ? await this.asManifest(root) : undefined;
    for (const { path, digest: file, sizeBytes } of manifest?.files ?? []) {
      const size = await this.check(file, path, problems, options);
      if (size > 0 && BigInt(size) !== sizeBytes)
        problems.push(`${path}: ${size} bytes instead of ${sizeBytes}`);
      verifiedBytes += BigInt(size);
    }
    return { valid: problems.length === 0, problems, verifiedBytes };
  }

  /**
   * Restarts the age of an artifact and of the files of its manifest, without reading the files: what a run is about
   * to refer to again is kept.
   * @returns the digests that are not stored; empty when all is there
   */
  async keep(digest: string): Promise<string[]> {
    const root = await this.stat(digest);
    if (!root) return [digest];
    const files = (await this.asManifest(root))?.files.map((file) => file.digest) ?? [];
    const missing: string[] = [];
    for (const each of new Set([digest, ...files])) {
      try {
        await this.refresh([each]);
      } catch (error) {
        if (!(error instanceof ArtifactNotFoundError)) throw error;
        missing.push(each);
      }
    }
    return missing;
  }

  /** How much is stored. */
  async usage(): Promise<{ readonly blobs: number; readonly bytes: bigint }> {
    let blobs = 0;
    let bytes = 0n;
    for await (const { sizeBytes } of this.list()) {
      blobs++;
      bytes += BigInt(sizeBytes);
    }
    return { blobs, bytes };
  }

  /** The manifest that stored content is, or undefined. Reads only what is small enough to be one. */
  protected async asManifest({ digest, sizeBytes }: StoredBlob): Promise<Manifest | undefined> {
    return sizeBytes > this.maxManifestBytes ? undefined : tryDecodeManifest(await this.readBytes(digest));
  }

  /** A reference to stored content. */
  protected refTo(digest: string, sizeBytes: number, options: RefOptions): ArtifactRef {
    return create(ArtifactRefSchema, {
      digest,
      sizeBytes: BigInt(sizeBytes),
      mediaType: options.mediaType ?? MEDIA_TYPES.binary,
      name: options.name ?? '',
      type: options.type ?? '',
    });
  }

  /** Bytes that were read; a problem is added when they are missing or corrupt. */
  private async check(
    digest: string,
    what: string,
    problems: string[],
    options: ReadOptions,
  ): Promise<number> {
    let size = 0;
    try {
      for await (const chunk of this.open(digest, options)) size += chunk.length;
    } catch (error) {
      if (!(error instanceof DigestMismatchError || error instanceof ArtifactNotFoundError)) throw error;
      problems.push(`${what}: ${error.message}`);
    }
    return size;
  }

  private async fileDigest(manifestDigest: string, path: string): Promise<string> {
    const { files } = await this.getManifest(parseDigest(manifestDigest));
    const file = files.find((entry) => entry.path === path);
    if (!file)
      throw new ArtifactNotFoundError(`file ${JSON.stringify(path.slice(0, 100))} of ${manifestDigest}`);
    return file.digest;
  }
}
