import { type Manifest, ManifestSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { z } from 'zod';
import { InvalidManifestError } from './artifact.errors.js';
import { canonicalJson } from './canonical-json.js';
import { isDigest } from './digest.js';

/** A file of a manifest as code writes it. */
export interface ManifestFileInit {
  /** Relative path with forward slashes. */
  readonly path: string;
  readonly digest: string;
  readonly sizeBytes: bigint;
}

/** A manifest as code writes it. */
export interface ManifestInit {
  readonly files: readonly ManifestFileInit[];
  readonly annotations?: Readonly<Record<string, string>>;
}

const MAX_FILES = 10_000;
const MAX_PATH_BYTES = 512;
/** Longest file name on common file systems. */
const MAX_SEGMENT_BYTES = 255;
const MAX_ANNOTATIONS = 256;
const MAX_ANNOTATION_LENGTH = 16_384;
const ANNOTATION_KEY = /^[a-z][a-z0-9_]{0,63}$/;
/** Control characters, and the separator of another system. */
const FORBIDDEN = /[\p{Cc}\\]/u;

const storedManifest = z.strictObject({
  annotations: z.record(z.string(), z.string()),
  files: z.array(z.strictObject({ path: z.string(), digest: z.string(), sizeBytes: z.int().min(0) })),
});

/**
 * Checks that a path stays inside the folder it is put in, on any system.
 * @param field  where the path stands, for the error
 * @throws InvalidManifestError  INVALID_ARGUMENT
 */
export function assertManifestPath(path: string, field = 'path'): void {
  const refuse = (problem: string): never => {
    throw new InvalidManifestError(field, `${JSON.stringify(path.slice(0, 100))} ${problem}`);
  };
  if (path === '') refuse('is empty');
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) refuse(`is longer than ${MAX_PATH_BYTES} bytes`);
  if (FORBIDDEN.test(path)) refuse('holds a control character or a backslash');
  if (Buffer.from(path).toString() !== path) refuse('is not valid Unicode');
  if (path.normalize('NFC') !== path) refuse('is not in Unicode normal form C');
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.' || segment === '..')
      refuse('is absolute or has an empty, "." or ".." segment');
    if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)
      refuse(`has a segment longer than ${MAX_SEGMENT_BYTES} bytes`);
  }
  if (/^[A-Za-z]:/.test(path)) refuse('begins with a drive letter');
}

/**
 * A manifest whose files are in order and obey the rules.
 * @throws InvalidManifestError  INVALID_ARGUMENT: names the field
 */
export function toManifest({ files, annotations = {} }: ManifestInit): Manifest {
  if (files.length === 0) throw new InvalidManifestError('files', 'is empty');
  if (files.length > MAX_FILES) throw new InvalidManifestError('files', `has more than ${MAX_FILES} entries`);
  const paths = new Set<string>();
  for (const [index, { path, digest, sizeBytes }] of files.entries()) {
    assertManifestPath(path, `files[${index}].path`);
    if (paths.has(path)) throw new InvalidManifestError(`files[${index}].path`, `${path} is there twice`);
    paths.add(path);
    if (!isDigest(digest))
      throw new InvalidManifestError(`files[${index}].digest`, 'is not a sha-256 digest');
    if (sizeBytes < 0n || sizeBytes > BigInt(Number.MAX_SAFE_INTEGER))
      throw new InvalidManifestError(`files[${index}].sizeBytes`, `${sizeBytes} is out of range`);
  }
  for (const path of paths) assertNoFileAbove(path, paths);
  assertAnnotations(annotations);
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  return create(ManifestSchema, { files: sorted, annotations: { ...annotations } });
}

/** The bytes that a manifest is stored as. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const files = manifest.files.map(({ path, digest, sizeBytes }) => ({
    path,
    digest,
    sizeBytes: Number(sizeBytes),
  }));
  return Buffer.from(canonicalJson({ annotations: manifest.annotations, files }));
}

/** The manifest that bytes hold. @throws InvalidManifestError INVALID_ARGUMENT */
export function decodeManifest(bytes: Uint8Array): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new InvalidManifestError('content', 'is not JSON');
  }
  const parsed = storedManifest.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new InvalidManifestError(issue?.path.join('.') || 'content', issue?.message ?? 'is no manifest');
  }
  const { annotations, files } = parsed.data;
  return toManifest({
    annotations,
    files: files.map((file) => ({ ...file, sizeBytes: BigInt(file.sizeBytes) })),
  });
}

/** The manifest that bytes hold, or undefined when they hold something else. */
export function tryDecodeManifest(bytes: Uint8Array): Manifest | undefined {
  try {
    return decodeManifest(bytes);
  } catch (error) {
    if (error instanceof InvalidManifestError) return undefined;
    throw error;
  }
}

function assertNoFileAbove(path: string, paths: ReadonlySet<string>): void {
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
    const above = path.slice(0, end);
    if (paths.has(above))
      throw new InvalidManifestError('files', `has ${above} both as a file and as a folder`);
  }
}

function assertAnnotations(annotations: Readonly<Record<string, string>>): void {
  const entries = Object.entries(annotations);
  if (entries.length > MAX_ANNOTATIONS)
    throw new InvalidManifestError('annotations', `has more than ${MAX_ANNOTATIONS} entries`);
  for (const [key, value] of entries) {
    if (!ANNOTATION_KEY.test(key))
      throw new InvalidManifestError(`annotations.${key.slice(0, 64)}`, 'is not in snake_case');
    if (value.length > MAX_ANNOTATION_LENGTH)
      throw new InvalidManifestError(
        `annotations.${key}`,
        `is longer than ${MAX_ANNOTATION_LENGTH} characters`,
      );
  }
}
