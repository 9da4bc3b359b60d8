import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ArtifactRef, ArtifactService } from '@agentforge/contracts';
import {
  CONFIG_FILE,
  GENERATION_CONFIG_FILE,
  TOKENIZER_CONFIG_FILE,
  TOKENIZER_FILE,
  WEIGHTS_FILE,
} from '@agentforge/model';
import type { Client } from '@agentforge/service-kit';
import { uploadContent } from './transfer.js';

/** Media type of a model's manifest. */
export const MODEL_MEDIA_TYPE = 'application/vnd.agentforge.model.v1+json';

/** Files of a model in Hugging Face layout; the first two are required. */
export const MODEL_FILES: readonly string[] = [
  CONFIG_FILE,
  WEIGHTS_FILE,
  GENERATION_CONFIG_FILE,
  TOKENIZER_FILE,
  TOKENIZER_CONFIG_FILE,
];

/** Whether a path is a folder in Hugging Face layout. */
export async function isModelFolder(path: string): Promise<boolean> {
  const required = [path, join(path, CONFIG_FILE), join(path, WEIGHTS_FILE)];
  const found = await Promise.all(required.map((file) => stat(file).catch(() => undefined)));
  return found[0]?.isDirectory() === true && found[1]?.isFile() === true && found[2]?.isFile() === true;
}

/** Stores a model folder: every file, then the manifest that lists them. */
export async function uploadModel(
  client: Client<typeof ArtifactService>,
  folder: string,
  signal?: AbortSignal,
): Promise<ArtifactRef> {
  const files: { digest: string; path: string; sizeBytes: number }[] = [];
  for (const path of [...MODEL_FILES].sort()) {
    const bytes = await readFile(join(folder, path)).catch(() => undefined);
    if (!bytes) continue;
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const meta = { name: path, type: 'file', mediaType: mediaTypeOf(path) };
    await uploadContent(client, { file: join(folder, path) }, meta, signal);
    files.push({ digest, path, sizeBytes: bytes.length });
  }
  const manifest = Buffer.from(JSON.stringify({ annotations: {}, files }));
  const meta = { name: basename(folder), type: 'model', mediaType: MODEL_MEDIA_TYPE };
  return uploadContent(client, manifest, meta, signal);
}

function mediaTypeOf(path: string): string {
  return path.endsWith('.json') ? 'application/json' : 'application/octet-stream';
}
