import { type ArtifactRef, ArtifactRefSchema, ProducerSchema } from '@agentforge/contracts';
import { create, fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import type { ArtifactEntry } from './artifact-index.js';
import type { RunEntry } from './run-index.js';
import type { RunSummary } from './run-summary.js';

/** Version of the entries: a snapshot of another one is not read. Raise it with every change of what they say. */
export const HISTORY_VERSION = 1;
/** A run with more artifacts is read from its log. */
const MAX_ARTIFACTS = 1_000;

/** A run that has ended, as snapshots keep it. */
export interface HistoryEntry {
  readonly run: RunSummary;
  /** Sequence of its first batch. */
  readonly sequence: string;
  readonly artifacts: readonly KeptArtifact[];
}

interface KeptArtifact {
  readonly ref: JsonValue;
  readonly timeMs: number;
  readonly offset: number;
  readonly step: string;
  readonly output: string;
}

/** The entry of a run that has ended; undefined when it is too large for one. */
export function historyEntry(run: RunEntry, artifacts: readonly ArtifactEntry[]): HistoryEntry | undefined {
  if (artifacts.length > MAX_ARTIFACTS) return undefined;
  return { run: run.summary, sequence: String(run.sequence), artifacts: artifacts.map(keep) };
}

/** The artifacts of an entry. */
export function artifactsOf({ run, artifacts }: HistoryEntry): Omit<ArtifactEntry, 'sequence'>[] {
  return artifacts.map(({ ref, timeMs, offset, step, output }) => ({
    ref: fromJson(ArtifactRefSchema, ref),
    timeMs,
    offset,
    producer: create(ProducerSchema, { run: run.name, stepId: step, output }),
  }));
}

const keep = ({ ref, timeMs, offset, producer }: ArtifactEntry): KeptArtifact => ({
  ref: refJson(ref),
  timeMs,
  offset,
  step: producer?.stepId ?? '',
  output: producer?.output ?? '',
});

const refJson = (ref: ArtifactRef): JsonValue => toJson(ArtifactRefSchema, ref);
