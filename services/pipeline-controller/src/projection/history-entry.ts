import type { ArtifactEntry, ArtifactFacts } from './artifact-index.js';
import type { LineageStepEntry } from './lineage-index.js';
import type { RunEntry } from './run-index.js';
import type { RunSummary } from './run-summary.js';

/** Version of the entries: a snapshot of another one is not read. Raise it with every change of what they say. */
export const HISTORY_VERSION = 4;
/** A run with more artifacts is read from its log. */
const MAX_ARTIFACTS = 1_000;
/** So is one whose steps read and made more: some 100 bytes each. */
const MAX_EDGES = 4_000;

/** A run that has ended, as snapshots keep it. */
export interface HistoryEntry {
  readonly run: RunSummary;
  /** Sequence of its first batch. */
  readonly sequence: string;
  readonly artifacts: readonly ArtifactFacts[];
  /** What its steps read and made. */
  readonly lineage: readonly LineageStepEntry[];
}

/** The entry of a run that has ended; undefined when it is too large for one. */
export function historyEntry(
  run: RunEntry,
  artifacts: readonly ArtifactEntry[],
  lineage: readonly LineageStepEntry[],
): HistoryEntry | undefined {
  const edges = lineage.reduce((sum, { reads, makes }) => sum + reads.length + makes.length, 0);
  if (artifacts.length > MAX_ARTIFACTS || edges > MAX_EDGES) return undefined;
  return {
    run: run.summary,
    sequence: String(run.sequence),
    artifacts: artifacts.map(({ facts }) => facts),
    lineage,
  };
}
