import { join, resolve, sep } from 'node:path';
import type { Artifact, ArtifactService } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import type { Client } from '@agentforge/service-kit';
import { downloadFile } from './transfer.js';

/** A file name in an artifact would leave the target folder. */
export class UnsafePathError extends AppError {
  constructor(path: string) {
    super('DATA_LOSS', `the artifact lists the file ${JSON.stringify(path)}, which is outside its folder`, {
      reason: 'UNSAFE_PATH',
    });
  }
}

/** Writes every file of a manifest artifact below a folder, each verified. Returns the paths, relative to it. */
export async function downloadManifest(
  client: Client<typeof ArtifactService>,
  artifact: Artifact,
  folder: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const root = resolve(folder);
  for (const { path } of artifact.files) {
    if (!resolve(root, path).startsWith(root + sep)) throw new UnsafePathError(path);
  }
  for (const file of artifact.files) {
    await downloadFile(
      client,
      {
        digest: artifact.ref?.digest ?? '',
        path: file.path,
        expected: file.digest,
        target: join(root, file.path),
      },
      signal,
    );
  }
  return artifact.files.map(({ path }) => path);
}
