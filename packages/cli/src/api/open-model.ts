import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { WEIGHTS_FILE } from '@agentforge/model';
import { UsageError } from '../errors.js';
import type { Session } from '../session.js';
import { downloadManifest } from './download-model.js';
import { findArtifact, isDigestLike } from './find-artifact.js';

/** A model on this machine. */
export interface OpenModel {
  readonly folder: string;
  /** Digest of the artifact, when it came from the server. */
  readonly digest: string | undefined;
  /** Removes what was fetched. */
  dispose(): Promise<void>;
}

/**
 * A model as a folder: a folder or a weights file as it is, an artifact fetched and verified.
 * @throws UsageError INVALID_ARGUMENT: neither a path that exists nor a digest
 */
export async function openModel(session: Session, where: string): Promise<OpenModel> {
  const path = resolve(session.io.cwd, where);
  const kind = await stat(path).catch(() => undefined);
  if (kind?.isDirectory()) return local(path);
  if (kind?.isFile()) {
    if (basename(path) === WEIGHTS_FILE) return local(dirname(path));
    throw new UsageError(`${where} is a file; name the folder, or a ${WEIGHTS_FILE} beside its config.json`);
  }
  if (!isDigestLike(where))
    throw new UsageError(`${where} is neither a folder nor the digest of an artifact`);
  const client = await session.artifacts();
  const artifact = await findArtifact(client, where);
  if (artifact.ref?.type !== 'model' || artifact.files.length === 0) {
    throw new UsageError(`${where} is a ${artifact.ref?.type || 'file'}, not a model`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'forge-model-'));
  const dispose = () => rm(folder, { recursive: true, force: true });
  try {
    await downloadManifest(client, artifact, folder);
    return { folder, digest: artifact.ref.digest, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function local(folder: string): OpenModel {
  return { folder, digest: undefined, dispose: async () => undefined };
}
