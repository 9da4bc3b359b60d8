import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ArtifactRef } from '@agentforge/contracts';
import {
  CONFIG_FILE,
  GENERATION_CONFIG_FILE,
  THOUGHTS_CONFIG_FILE,
  THOUGHTS_FILE,
  TOKENIZER_CONFIG_FILE,
  TOKENIZER_FILE,
  WEIGHTS_FILE,
} from '@agentforge/model';
import { type UploadTarget, uploadContent } from './transfer.js';

/** Media type of a model's manifest. */
export const MODEL_MEDIA_TYPE = 'application/vnd.agentforge.model.v1+json';

/** Files of a model in Hugging Face layout, those of its thoughts included; the first two are required. */
export const MODEL_FILES: readonly string[] = [
  CONFIG_FILE,
  WEIGHTS_FILE,
  GENERATION_CONFIG_FILE,
  TOKENIZER_FILE,
  TOKENIZER_CONFIG_FILE,
  THOUGHTS_FILE,
  THOUGHTS_CONFIG_FILE,
];

/** Whether a path is a folder in Hugging Face layout. */
export async function isModelFolder(path: string): Promise<boolean> {
  const required = [path, join(path, CONFIG_FILE), join(path, WEIGHTS_FILE)];
  const found = await Promise.all(required.map((file) => stat(file).catch(() => undefined)));
  return found[0]?.isDirectory() === true && found[1]?.isFile() === true && found[2]?.isFile() === true;
}

/** Stores a model folder: every file, then the manifest that lists them. */
export async function uploadModel(target: UploadTarget, folder: string): Promise<ArtifactRef> {
  const files: { digest: string; path: string; sizeBytes: number }[] = [];
  for (const path of [...MODEL_FILES].sort()) {
    const file = join(folder, path);
    if (!(await stat(file).catch(() => undefined))?.isFile()) continue;
    const meta = { name: path, type: 'file', mediaType: mediaTypeOf(path) };
    const { digest, sizeBytes } = await uploadContent(target, { file }, meta);
    files.push({ digest, path, sizeBytes: Number(sizeBytes) });
  }
  const manifest = Buffer.from(JSON.stringify({ annotations: {}, files }));
  const meta = { name: basename(folder), type: 'model', mediaType: MODEL_MEDIA_TYPE };
  return uploadContent(target, manifest, meta);
}

function mediaTypeOf(path: string): string {
  return path.endsWith('.json') ? 'application/json' : 'application/octet-stream';
}
