import { type ArtifactRef, type Producer, ProducerSchema, parseRunName } from '@agentforge/contracts';
import { type RunBatch, type RunRecord, stepOf } from '@agentforge/events';
import { create } from '@bufbuild/protobuf';
import type { FieldValues } from '../domain/filter.js';
import { type Ordered, SortedLog } from '../domain/sorted-log.js';
import { ProjectBytes } from '../quotas/project-bytes.js';

/** More artifacts than a batch of events can name. */
const MAX_PER_BATCH = 65_536;

/** An artifact that a run produced or that was uploaded. Ordered by time, then by place within a result. */
export interface ArtifactEntry extends Ordered {
  readonly ref: ArtifactRef;
  readonly timeMs: number;
  /** Absent for uploads. */
  readonly producer?: Producer;
}

/** Artifacts by time and by digest: what completed steps delivered, and uploads. */
export class ArtifactIndex {
  readonly #all = new SortedLog<ArtifactEntry>();
  readonly #byDigest = new Map<string, ArtifactEntry>();
  readonly #byRun = new Map<string, ArtifactEntry[]>();
  /** Bytes that count for projects. */
  readonly bytes = new ProjectBytes();

  /** Takes in a batch of a run's log. @param record  the run after it */
  apply(batch: RunBatch, record: RunRecord): void {
    const timeMs = batch.time.getTime();
    let offset = Number(batch.revision) * MAX_PER_BATCH;
    for (const { payload } of batch.events) {
      if (payload.case !== 'stepCompleted') continue;
      const { stepId } = payload.value;
      for (const { port, artifacts } of stepOf(record, stepId)?.result?.outputs ?? []) {
        const producer = create(ProducerSchema, { run: batch.run, stepId, output: port });
        for (const ref of artifacts) {
          const entry = { ref, timeMs, offset: offset++, producer };
          this.bytes.add(parseRunName(batch.run)?.project ?? '', ref, entry);
          this.#add(entry);
        }
      }
    }
  }

  /**
   * Takes in an upload; one that is known by its digest and name changes nothing.
   * @param sinceMs  since when it counts for the project; not given before its record says so
   */
  addUpload(ref: ArtifactRef, timeMs: number, project = '', sinceMs = Number.POSITIVE_INFINITY): void {
    const offset = Number.parseInt(ref.digest.slice(-8), 16);
    this.bytes.add(project, ref, { timeMs: sinceMs, offset });
    const known = this.#byDigest.get(ref.digest);
    if (known?.producer === undefined && known?.ref.name === ref.name && known.ref.type === ref.type) return;
    this.#add({ ref, timeMs, offset });
  }

  /** What a run produced so far, in order. */
  ofRun(run: string): readonly ArtifactEntry[] {
    return this.#byRun.get(run) ?? [];
  }

  /** Takes in what a run produced, from a snapshot; what is known of it already comes first and stays. */
  restore(run: string, entries: readonly Omit<ArtifactEntry, 'sequence'>[]): void {
    const project = parseRunName(run)?.project ?? '';
    for (const entry of entries.slice(this.ofRun(run).length)) {
      this.bytes.add(project, entry.ref, entry);
      this.#add(entry);
    }
  }

  /** What is known of a digest: the first mention, which is what produced it. */
  get(digest: string): ArtifactEntry | undefined {
    return this.#byDigest.get(digest);
  }

  /** Artifacts, newest first, from a place on. */
  newestFirst(from: Ordered | undefined): Iterable<ArtifactEntry> {
    return this.#all.descending(from);
  }

  /** The place of an entry does not depend on the replica that indexes it. */
  #add(entry: Omit<ArtifactEntry, 'sequence'>): void {
    const placed = { ...entry, sequence: BigInt(entry.timeMs) };
    this.#all.add(placed);
    const run = entry.producer?.run;
    if (run !== undefined) {
      const own = this.#byRun.get(run) ?? [];
      this.#byRun.set(run, own);
      own.push(placed);
    }
    if (!this.#byDigest.has(entry.ref.digest)) this.#byDigest.set(entry.ref.digest, placed);
  }
}

/** Fields of an artifact that a filter may name. */
export const ARTIFACT_FIELDS = { type: 'word', name: 'text', run: 'word', step: 'word' } as const;

/** Values of an artifact for a filter. */
export const artifactFields = ({ ref, producer }: ArtifactEntry): FieldValues => ({
  type: ref.type,
  name: ref.name,
  run: producer?.run ?? '',
  step: producer?.stepId ?? '',
});
