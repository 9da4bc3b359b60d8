import { ArtifactStore, isDigest, MEDIA_TYPES } from '@agentforge/artifacts';
import type {
  Artifact,
  ArtifactRef,
  ListArtifactsRequest,
  UploadArtifactRequest,
  UploadHeader,
} from '@agentforge/contracts';
import { ArtifactRefSchema, ArtifactSchema, isProjectName, parseProjectName } from '@agentforge/contracts';
import type { FieldViolation } from '@agentforge/errors';
import { EngineClock } from '@agentforge/events';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Injectable } from '@nestjs/common';
import { matches } from './domain/filter.js';
import { encodePageToken } from './domain/page-token.js';
import { ArtifactNotFoundError, InvalidRequestError } from './pipeline-controller.errors.js';
import { UploadLog } from './ports/upload-log.port.js';
import { ARTIFACT_FIELDS, type ArtifactEntry, artifactFields } from './projection/artifact-index.js';
import { ReadModel } from './projection/read-model.js';
import { checkFilter, checkPageToken, pageSizeViolations, takePage } from './queries.js';
import { QuotaUseCases } from './quotas/quotas.service.js';

const PAGE = { standard: 50, most: 1_000 };
const MAX_CHUNK_BYTES = 2 ** 20;
const TYPE = /^[a-z][a-z0-9_-]{0,62}$/;
const MAX_NAME = 256;
const MANIFESTS: ReadonlySet<string> = new Set([MEDIA_TYPES.model, MEDIA_TYPES.checkpoint]);

/** What callers can do with artifacts. */
@Injectable()
export class ArtifactUseCases {
  constructor(
    private readonly store: ArtifactStore,
    private readonly readModel: ReadModel,
    private readonly uploads: UploadLog,
    private readonly quotas: QuotaUseCases,
    /** That of NATS, which stamps the records of uploads. */
    private readonly clock: EngineClock,
  ) {}

  /** @throws NOT_FOUND, INVALID_ARGUMENT */
  async get(digest: string): Promise<Artifact> {
    checkDigest(digest);
    const stored = await this.store.stat(digest);
    if (stored === undefined) throw new ArtifactNotFoundError(digest);
    const entry = this.readModel.artifacts.get(digest);
    const ref = entry?.ref ?? create(ArtifactRefSchema, { digest, sizeBytes: BigInt(stored.sizeBytes) });
    const artifact = toArtifact(ref, stored.createTime.getTime(), entry);
    if (MANIFESTS.has(ref.mediaType)) {
      const { files, annotations } = await this.store.getManifest(digest);
      artifact.files = files;
      artifact.annotations = annotations;
    }
    return artifact;
  }

  /** One page of artifacts, newest first. @throws INVALID_ARGUMENT */
  list(request: ListArtifactsRequest): { readonly artifacts: Artifact[]; readonly nextPageToken: string } {
    const violations = pageSizeViolations(request.pageSize, PAGE);
    if (violations.length > 0) throw new InvalidRequestError(violations);
    const terms = checkFilter(request.filter, ARTIFACT_FIELDS);
    const query = ['artifacts', request.filter];
    const from = checkPageToken(query, request.pageToken);
    const { page, hasMore } = takePage(
      this.readModel.artifacts.newestFirst(from),
      request.pageSize || PAGE.standard,
      (entry) => terms.length === 0 || matches(terms, artifactFields(entry)),
    );
    const last = page.at(-1);
    return {
      artifacts: page.map((entry) => toArtifact(entry.ref, entry.facts.timeMs, entry)),
      nextPageToken: hasMore && last ? encodePageToken(query, last) : '',
    };
  }

  /** Stores one file, as it comes. @throws INVALID_ARGUMENT, RESOURCE_EXHAUSTED */
  async upload(parts: AsyncIterable<UploadArtifactRequest>, signal: AbortSignal): Promise<ArtifactRef> {
    const iterator = parts[Symbol.asyncIterator]();
    const first = await iterator.next();
    const header = first.done || first.value.part.case !== 'header' ? undefined : first.value.part.value;
    const violations = headerViolations(header);
    if (header === undefined || violations.length > 0) throw new InvalidRequestError(violations);
    const { name, type, mediaType, digest } = header;
    const project = parseProjectName(header.parent) ?? '';
    const body = chunksOf(iterator);
    const start = await body.next();
    if (start.done)
      throw new InvalidRequestError([{ field: 'chunk', description: 'is missing; the body is empty' }]);
    const ref = await this.store.put(this.quotas.metered(project, digest, prepend(start.value, body)), {
      name,
      type,
      mediaType: mediaType || MEDIA_TYPES.binary,
      signal,
      ...(digest === '' ? {} : { expectedDigest: digest }),
    });
    await this.uploads.put(ref, project);
    this.readModel.artifacts.addUpload(ref, this.clock.nowMs(), project);
    return ref;
  }

  /** The bytes of an artifact or of a file of its manifest. @throws NOT_FOUND, DATA_LOSS, INVALID_ARGUMENT */
  download(digest: string, path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    checkDigest(digest);
    return path === '' ? this.store.open(digest, { signal }) : this.store.openFile(digest, path);
  }

  /** Reads every byte and compares digests. @throws NOT_FOUND, INVALID_ARGUMENT */
  verify(digest: string) {
    checkDigest(digest);
    return this.store.verify(digest);
  }
}

/** Refuses what is no digest. @throws INVALID_ARGUMENT */
export function checkDigest(digest: string): void {
  if (!isDigest(digest))
    throw new InvalidRequestError([
      {
        field: 'digest',
        description: `is ${JSON.stringify(digest.slice(0, 80))}; must be "sha256:" and 64 lower-case hexadecimal digits`,
      },
    ]);
}

/** @param entry  undefined for what no run and no upload of these records told of */
const toArtifact = (
  ref: ArtifactRef,
  timeMs: number,
  entry: Pick<ArtifactEntry, 'producer'> | undefined,
): Artifact => {
  const producer = entry?.producer;
  return create(ArtifactSchema, {
    ref,
    createTime: timestampFromMs(timeMs),
    ...(producer ? { producer } : {}),
  });
};

function headerViolations(header: UploadHeader | undefined): FieldViolation[] {
  if (header === undefined) return [{ field: 'header', description: 'is missing; it is the first message' }];
  const violations: FieldViolation[] = [];
  if (!TYPE.test(header.type))
    violations.push({
      field: 'header.type',
      description: `is ${JSON.stringify(header.type.slice(0, 80))}; must be a type as ports name it, for example "corpus"`,
    });
  if (header.parent !== '' && !isProjectName(header.parent))
    violations.push({
      field: 'header.parent',
      description: `is ${JSON.stringify(header.parent.slice(0, 80))}; leave it empty or send "projects/{project}"`,
    });
  if (header.name.length > MAX_NAME)
    violations.push({
      field: 'header.name',
      description: `has ${header.name.length} characters; at most ${MAX_NAME}`,
    });
  if (header.digest !== '' && !isDigest(header.digest))
    violations.push({
      field: 'header.digest',
      description: 'is malformed; leave it empty or send "sha256:…"',
    });
  if (MANIFESTS.has(header.mediaType))
    violations.push({
      field: 'header.media_type',
      description: 'is that of a manifest; an upload is one file',
    });
  return violations;
}

/** The bytes of an upload, without empty chunks. */
async function* chunksOf(parts: AsyncIterator<UploadArtifactRequest>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const next = await parts.next();
    if (next.done) return;
    const { part } = next.value;
    if (part.case !== 'chunk')
      throw new InvalidRequestError([
        { field: 'part', description: 'is no chunk; only the first message is a header' },
      ]);
    if (part.value.length > MAX_CHUNK_BYTES)
      throw new InvalidRequestError([
        { field: 'chunk', description: `has ${part.value.length} bytes; at most ${MAX_CHUNK_BYTES}` },
      ]);
    if (part.value.length > 0) yield part.value;
  }
}

async function* prepend(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  yield* rest;
}
