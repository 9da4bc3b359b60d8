import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArtifactRef, ArtifactService } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import type { Client } from '@agentforge/service-kit';

/** Bytes per message; the contract allows 1 MiB. */
const CHUNK_BYTES = 512 * 1024;
/** Transfers of large models take longer than other calls. */
const TRANSFER_DEADLINE_MS = 30 * 60_000;

/** What is uploaded. */
export interface UploadMeta {
  readonly name: string;
  readonly type: string;
  readonly mediaType: string;
}

/** Where uploads go. */
export interface UploadTarget {
  readonly client: Client<typeof ArtifactService>;
  /** Project that the bytes count for: "projects/{project}". */
  readonly parent: string;
  readonly signal?: AbortSignal;
}

/** Content came over damaged. */
export class DigestMismatchError extends AppError {
  constructor(expected: string, actual: string) {
    super('DATA_LOSS', `content with digest ${actual} arrived instead of ${expected}`, {
      reason: 'DIGEST_MISMATCH',
    });
  }
}

/** Stores bytes or a file; the server checks the digest, and counts no bytes twice that it has already. */
export async function uploadContent(
  { client, parent, signal }: UploadTarget,
  content: Uint8Array | { readonly file: string },
  meta: UploadMeta,
): Promise<ArtifactRef> {
  const digest = await digestOf(content);
  async function* messages() {
    yield { part: { case: 'header' as const, value: { ...meta, digest, parent } } };
    if (content instanceof Uint8Array) {
      for (let at = 0; at < content.length; at += CHUNK_BYTES) {
        yield { part: { case: 'chunk' as const, value: content.subarray(at, at + CHUNK_BYTES) } };
      }
    } else {
      for await (const chunk of createReadStream(content.file, { highWaterMark: CHUNK_BYTES })) {
        yield { part: { case: 'chunk' as const, value: chunk as Uint8Array } };
      }
    }
  }
  const { ref } = await client.uploadArtifact(messages(), { signal, deadlineMs: TRANSFER_DEADLINE_MS });
  if (!ref) throw new AppError('INTERNAL', 'the server stored the content but did not say where');
  return ref;
}

async function digestOf(content: Uint8Array | { readonly file: string }): Promise<string> {
  const hash = createHash('sha256');
  if (content instanceof Uint8Array) hash.update(content);
  else
    for await (const chunk of createReadStream(content.file, { highWaterMark: CHUNK_BYTES }))
      hash.update(chunk as Uint8Array);
  return `sha256:${hash.digest('hex')}`;
}

/** Where a download goes and what it must be. */
export interface DownloadPlan {
  /** Artifact to read. */
  readonly digest: string;
  /** File of the manifest; empty for the artifact itself. */
  readonly path: string;
  /** Digest that the bytes must have. */
  readonly expected: string;
  readonly target: string;
}

/**
 * Writes the bytes of an artifact, or of one file of a manifest, to a file that appears only when they are complete
 * and have the expected digest.
 * @throws DigestMismatchError DATA_LOSS: the bytes differ from the digest
 */
export async function downloadFile(
  client: Client<typeof ArtifactService>,
  plan: DownloadPlan,
  signal?: AbortSignal,
): Promise<number> {
  await mkdir(dirname(plan.target), { recursive: true });
  const draft = join(dirname(plan.target), `.${process.pid}-${plan.expected.slice(-12)}.part`);
  const file = await open(draft, 'w');
  const hash = createHash('sha256');
  let sizeBytes = 0;
  try {
    const request = { digest: plan.digest, path: plan.path };
    for await (const { chunk } of client.downloadArtifact(request, {
      signal,
      deadlineMs: TRANSFER_DEADLINE_MS,
    })) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      await file.write(chunk);
    }
    const actual = `sha256:${hash.digest('hex')}`;
    if (actual !== plan.expected) throw new DigestMismatchError(plan.expected, actual);
    await file.close();
    await rename(draft, plan.target);
    return sizeBytes;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(draft, { force: true });
    throw error;
  }
}
