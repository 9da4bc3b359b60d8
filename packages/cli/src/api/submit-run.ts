import { randomUUID } from 'node:crypto';
import type { ArtifactService, GraphSpec, PipelineService, Run } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import type { Client } from '@agentforge/service-kit';
import { InvalidSpecError } from '../errors.js';
import { toGraph } from '../spec/graph.js';
import { type ParsedSpec, parseRunSpec, type RunSpec } from '../spec/run-spec.js';
import { locateViolations } from '../spec/server-problems.js';
import { resolveContent } from './resolve-content.js';

/** A specification as text, and where it came from. */
export interface SpecSource {
  /** Name for messages. */
  readonly file: string;
  readonly text: string;
  /** Folder that relative paths in it start from. */
  readonly folder: string;
  readonly overrides: readonly string[];
}

/** A specification that passed every check that needs no server. */
export interface ReadySpec extends Required<ParsedSpec> {
  readonly source: SpecSource;
}

/** Connections to the front door. */
export interface FrontDoor {
  readonly pipeline: Client<typeof PipelineService>;
  readonly artifacts: Client<typeof ArtifactService>;
}

/** Reads and checks a specification. @throws InvalidSpecError INVALID_ARGUMENT: all of its problems */
export function requireSpec(source: SpecSource): ReadySpec {
  const { spec, problems, document } = parseRunSpec(source.text, source.overrides);
  if (!spec) throw new InvalidSpecError(source.file, problems, source.text);
  return { spec, problems, document, source };
}

/**
 * Checks a specification with the server, too. Files are uploaded on the way: what a port takes is judged by content.
 * @param project  that the uploaded bytes count for
 * @throws InvalidSpecError INVALID_ARGUMENT: all problems that the server found, with their places
 */
export async function validateRemotely(
  ready: ReadySpec,
  door: FrontDoor,
  project: string,
  signal?: AbortSignal,
): Promise<void> {
  const graph = await buildGraph(ready, door, project, signal);
  const { violations } = await door.pipeline.validateRunSpec({ graph }, { signal });
  if (violations.length > 0) throw located(ready, violations);
}

/** How a run is created, besides its specification. */
export interface SubmitOptions {
  readonly project: string;
  readonly runId: string;
  readonly displayName?: string;
  readonly signal?: AbortSignal;
}

/**
 * Uploads the files that a specification names and creates the run.
 * @throws InvalidSpecError INVALID_ARGUMENT: all problems that were found, with their places in the file
 */
export async function submitRun(ready: ReadySpec, door: FrontDoor, options: SubmitOptions): Promise<Run> {
  const { spec } = ready;
  const graph = await buildGraph(ready, door, options.project, options.signal);
  try {
    const { run } = await door.pipeline.createRun(
      {
        parent: `projects/${options.project}`,
        runId: options.runId,
        displayName: options.displayName ?? spec.name,
        labels: spec.labels,
        graph,
        requestId: randomUUID(),
      },
      { signal: options.signal, deadlineMs: 30_000 },
    );
    if (!run) throw new AppError('INTERNAL', 'the server accepted the run but did not return it');
    return run;
  } catch (thrown) {
    const error = AppError.from(thrown);
    if (error.code === 'INVALID_ARGUMENT' && error.fieldViolations.length > 0) {
      throw located(ready, error.fieldViolations);
    }
    throw error;
  }
}

/**
 * The graph of a specification on the wire, its files uploaded.
 * @param project  that their bytes count for
 * @throws InvalidSpecError INVALID_ARGUMENT: all content that could not be found or read
 */
export async function buildGraph(
  ready: ReadySpec,
  door: FrontDoor,
  project: string,
  signal?: AbortSignal,
): Promise<GraphSpec> {
  const { phases } = await door.pipeline.listPhases({}, { signal });
  const { refs, problems } = await resolveContent(ready.spec, {
    client: door.artifacts,
    parent: `projects/${project}`,
    phases,
    document: ready.document,
    folder: ready.source.folder,
    ...(signal ? { signal } : {}),
  });
  if (problems.length > 0) throw new InvalidSpecError(ready.source.file, problems, ready.source.text);
  return toGraph(ready.spec, refs);
}

function located(
  { spec, document, source }: { spec: RunSpec; document: ReadySpec['document']; source: SpecSource },
  violations: readonly { field: string; description: string }[],
): InvalidSpecError {
  return new InvalidSpecError(source.file, locateViolations(document, spec, violations), source.text);
}
