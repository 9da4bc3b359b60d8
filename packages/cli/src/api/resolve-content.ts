import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { ArtifactRef, PhaseDescriptor } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import type { SpecDocument } from '../spec/document.js';
import type { SpecProblem } from '../spec/problem.js';
import type { ContentItem, RunSpec } from '../spec/run-spec.js';
import { type UploadTarget, uploadContent } from './transfer.js';

/** What resolving needs. */
export interface ResolveContext extends UploadTarget {
  /** Descriptors, to know what type of artifact a port takes. */
  readonly phases: readonly PhaseDescriptor[];
  readonly document: SpecDocument;
  /** Folder that relative paths start from: that of the specification. */
  readonly folder: string;
}

/** Every content item as a stored artifact, and what could not be found or read. */
export interface ResolvedContent {
  readonly refs: ReadonlyMap<ContentItem, ArtifactRef>;
  readonly problems: readonly SpecProblem[];
}

/**
 * Looks up the artifacts that a specification names and uploads its files, each once. Problems of all items are
 * collected; errors of the connection are thrown.
 */
export async function resolveContent(spec: RunSpec, context: ResolveContext): Promise<ResolvedContent> {
  const refs = new Map<ContentItem, ArtifactRef>();
  const problems: SpecProblem[] = [];
  const uploaded = new Map<string, ArtifactRef>();
  for (const step of spec.steps) {
    const descriptor = context.phases.find(({ name }) => name === step.phase);
    for (const { port, source } of step.inputs) {
      if (source.kind !== 'content') continue;
      const portType = descriptor?.inputs.find(({ name }) => name === port)?.artifactType;
      for (const item of source.items) {
        try {
          refs.set(item, await resolveItem(item, portType, uploaded, context));
        } catch (thrown) {
          const error = AppError.from(thrown);
          if (!isAboutTheItem(error)) throw error;
          problems.push(context.document.problem(item.path, error.message));
        }
      }
    }
  }
  return { refs, problems };
}

async function resolveItem(
  item: ContentItem,
  portType: string | undefined,
  uploaded: Map<string, ArtifactRef>,
  context: ResolveContext,
): Promise<ArtifactRef> {
  if (item.kind === 'artifact') {
    const { artifact } = await context.client.getArtifact(
      { digest: item.digest },
      { signal: context.signal },
    );
    if (!artifact?.ref) throw new AppError('NOT_FOUND', `no artifact has the digest ${item.digest}`);
    return artifact.ref;
  }
  const path = resolve(context.folder, item.file);
  const type = item.type ?? portType ?? 'corpus';
  const known = uploaded.get(`${type} ${path}`);
  if (known) return known;
  const ref = await uploadPath(path, type, context);
  uploaded.set(`${type} ${path}`, ref);
  return ref;
}

/** Stores a file or folder of this machine as an artifact of a type. */
export async function uploadPath(path: string, type: string, target: UploadTarget): Promise<ArtifactRef> {
  const kind = await stat(path).catch(() => {
    throw new AppError('NOT_FOUND', `${path} does not exist`);
  });
  if (type === 'corpus') {
    const { corpusContent } = await import('./corpus-content.js');
    const { bytes, name, mediaType } = await corpusContent(path);
    return uploadContent(target, bytes, { name, type, mediaType });
  }
  if (type === 'model') {
    const { isModelFolder, uploadModel } = await import('./model-content.js');
    if (!(await isModelFolder(path))) {
      throw new AppError(
        'INVALID_ARGUMENT',
        `${path} is no model folder: it needs config.json and model.safetensors`,
      );
    }
    return uploadModel(target, path);
  }
  if (!kind.isFile()) throw new AppError('INVALID_ARGUMENT', `${path} is a folder; a ${type} is one file`);
  const mediaType = path.endsWith('.json') ? 'application/json' : 'application/octet-stream';
  return uploadContent(target, { file: path }, { name: basename(path), type, mediaType });
}

function isAboutTheItem(error: AppError): boolean {
  return (
    error.code === 'NOT_FOUND' || error.code === 'INVALID_ARGUMENT' || error.code === 'RESOURCE_EXHAUSTED'
  );
}
