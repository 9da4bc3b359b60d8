import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { directorySource, type LoadedModel, loadGguf, loadModel, WEIGHTS_FILE } from '@agentforge/model';
import { UsageError } from '../errors.js';
import type { Session } from '../session.js';
import { downloadManifest } from './download-model.js';
import { findArtifact, isDigestLike } from './find-artifact.js';

/** Extension of a GGUF file. */
export const GGUF_EXTENSION = '.gguf';

/** A model on this machine. */
export interface OpenModel {
  readonly folder: string;
  /** Name of its GGUF file in the folder; undefined for a folder in Hugging Face layout. */
  readonly gguf: string | undefined;
  /** Digest of the artifact, when it came from the server. */
  readonly digest: string | undefined;
  /** Builds it in memory, checked. */
  load(): Promise<LoadedModel>;
  /** Removes what was fetched. */
  dispose(): Promise<void>;
}

/**
 * A model as a folder or file: a folder, a weights file or a GGUF file as it is, an artifact fetched and verified.
 * @throws UsageError INVALID_ARGUMENT: neither a path that exists nor a digest
 */
export async function openModel(session: Session, where: string): Promise<OpenModel> {
  const path = resolve(session.io.cwd, where);
  const kind = await stat(path).catch(() => undefined);
  if (kind?.isDirectory()) return local(path);
  if (kind?.isFile()) {
    if (basename(path) === WEIGHTS_FILE) return local(dirname(path));
    if (path.endsWith(GGUF_EXTENSION)) return local(dirname(path), basename(path));
    throw new UsageError(
      `${where} is a file; name the folder, a ${WEIGHTS_FILE} beside its config.json, or a ${GGUF_EXTENSION} file`,
    );
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
    return { ...local(folder), digest: artifact.ref.digest, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function local(folder: string, gguf?: string): OpenModel {
  return {
    folder,
    gguf,
    digest: undefined,
    load: () => (gguf === undefined ? loadModel(folder) : loadGguf(directorySource(folder), gguf)),
    dispose: async () => undefined,
  };
}
