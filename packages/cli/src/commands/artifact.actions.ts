import { resolve } from 'node:path';
import {
  type Artifact,
  ArtifactRefSchema,
  ArtifactSchema,
  VerifyArtifactResponseSchema,
} from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { toJson } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { downloadManifest } from '../api/download-model.js';
import { findArtifact } from '../api/find-artifact.js';
import { uploadPath } from '../api/resolve-content.js';
import { downloadFile } from '../api/transfer.js';
import { CheckFailedError } from '../errors.js';
import { listing } from '../output/format.js';
import type { Style } from '../output/style.js';
import { renderTable } from '../output/table.js';
import { formatBytes, shortDigest } from '../output/units.js';
import { printable } from '../output/width.js';
import type { Session } from '../session.js';

/** Options of `artifact list`. */
export interface ListOptions {
  readonly type?: string;
  readonly run?: string;
  readonly step?: string;
  readonly limit: number;
}

/** Lists artifacts. */
export async function listArtifacts(session: Session, options: ListOptions): Promise<void> {
  const client = await session.artifacts();
  const terms = [
    options.type === undefined ? [] : `type = "${options.type}"`,
    options.run === undefined ? [] : `run = "${await session.runName(options.run)}"`,
    options.step === undefined ? [] : `step = "${options.step}"`,
  ].flat();
  const found: Artifact[] = [];
  let pageToken = '';
  do {
    const pageSize = Math.min(1_000, options.limit - found.length);
    const page = await client.listArtifacts({ pageSize, pageToken, filter: terms.join(' AND ') });
    found.push(...page.artifacts);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && found.length < options.limit);
  await session.print(
    listing(
      found,
      [
        { title: 'digest', value: ({ ref }) => shortDigest(ref?.digest ?? '') },
        { title: 'type', value: ({ ref }) => ref?.type ?? '' },
        { title: 'name', value: ({ ref }) => printable(ref?.name ?? '') },
        { title: 'size', align: 'right', value: ({ ref }) => formatBytes(ref?.sizeBytes ?? 0n) },
        { title: 'made by', value: producerOf },
        { title: 'stored', value: storedOf },
      ],
      {
        value: found.map((artifact) => toJson(ArtifactSchema, artifact)),
        name: ({ ref }) => ref?.digest ?? '',
        empty: 'no artifacts',
      },
    ),
  );
}

/** Options of `artifact get`. */
export interface GetOptions {
  readonly to?: string;
}

/** Describes an artifact, or fetches it. */
export async function getArtifact(session: Session, options: GetOptions, digest: string): Promise<void> {
  const client = await session.artifacts();
  const artifact = await findArtifact(client, digest);
  if (options.to !== undefined) {
    const target = resolve(session.io.cwd, options.to);
    const full = artifact.ref?.digest ?? '';
    const signal = session.io.interruption();
    if (artifact.files.length > 0) await downloadManifest(client, artifact, target, signal);
    else await downloadFile(client, { digest: full, path: '', expected: full, target }, signal);
    session.remark(`verified and written to ${target}`);
  }
  await session.print({
    value: toJson(ArtifactSchema, artifact),
    names: [artifact.ref?.digest ?? ''],
    table: (style) => describe(artifact, style),
  });
}

/** Has the server read and compare every byte of an artifact. */
export async function verifyArtifact(session: Session, _options: object, digest: string): Promise<void> {
  const client = await session.artifacts();
  const artifact = await findArtifact(client, digest);
  const full = artifact.ref?.digest ?? '';
  const result = await client.verifyArtifact({ digest: full }, { deadlineMs: 10 * 60_000 });
  await session.print({
    value: toJson(VerifyArtifactResponseSchema, result),
    names: result.valid ? [full] : [],
    table: (style) =>
      result.valid
        ? `${style.green('✔')} ${full}  ${formatBytes(result.verifiedBytes)} read, every digest matches`
        : [`${style.red('✖')} ${full}`, ...result.problems.map((problem) => `  ${printable(problem)}`)].join(
            '\n',
          ),
  });
  if (!result.valid) throw new CheckFailedError(`${full} is damaged`);
}

/** Options of `artifact upload`. */
export interface UploadOptions {
  readonly type?: string;
}

/** Stores a file or folder. */
export async function uploadArtifact(session: Session, options: UploadOptions, path: string): Promise<void> {
  const file = resolve(session.io.cwd, path);
  const { isModelFolder } = await import('../api/model-content.js');
  const type = options.type ?? ((await isModelFolder(file)) ? 'model' : 'corpus');
  const client = await session.artifacts();
  const ref = await uploadPath(file, type, {
    client,
    parent: `projects/${await session.project()}`,
    signal: session.io.interruption(),
  });
  if (!ref.digest) throw new AppError('INTERNAL', 'the server did not return a digest');
  await session.print({
    value: toJson(ArtifactRefSchema, ref),
    names: [ref.digest],
    table: (style) => `${style.green('stored')} ${ref.digest}  ${ref.type}  ${formatBytes(ref.sizeBytes)}`,
  });
}

function describe(artifact: Artifact, style: Style): string {
  const { ref } = artifact;
  const facts: [string, string][] = [
    ['digest', ref?.digest ?? ''],
    ['type', ref?.type ?? ''],
    ['name', ref?.name ?? ''],
    ['media type', ref?.mediaType ?? ''],
    ['size', formatBytes(ref?.sizeBytes ?? 0n)],
    ['made by', producerOf(artifact)],
    ['stored', storedOf(artifact)],
    ...Object.entries(artifact.annotations).sort(([a], [b]) => (a < b ? -1 : 1)),
  ];
  const lines = facts.map(([name, value]) => `${style.dim(name.padEnd(16))}${printable(value)}`);
  if (artifact.files.length === 0) return lines.join('\n');
  const files = renderTable(
    artifact.files,
    [
      { title: 'file', value: ({ path }) => printable(path) },
      { title: 'size', align: 'right', value: ({ sizeBytes }) => formatBytes(sizeBytes) },
      { title: 'digest', value: (file) => file.digest },
    ],
    style,
  );
  return [...lines, '', files].join('\n');
}

function producerOf({ producer }: Artifact): string {
  return producer
    ? `${producer.run.replace(/^projects\//, '').replace('/runs/', '/')} ${producer.stepId}`
    : 'upload';
}

function storedOf({ createTime }: Artifact): string {
  return createTime ? timestampDate(createTime).toISOString() : '–';
}
