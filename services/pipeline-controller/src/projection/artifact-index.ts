import {
  type ArtifactRef,
  ArtifactRefSchema,
  type Producer,
  ProducerSchema,
  parseRunName,
} from '@agentforge/contracts';
import { type RunBatch, type RunRecord, stepOf } from '@agentforge/events';
import { create } from '@bufbuild/protobuf';
import type { FieldValues } from '../domain/filter.js';
import { type Ordered, SortedLog } from '../domain/sorted-log.js';
import { ProjectBytes } from '../quotas/project-bytes.js';

/** More artifacts than a batch of events can name. */
const MAX_PER_BATCH = 65_536;

/** What is known of an artifact. Plain JSON: snapshots keep it, and a start takes in a million of them. */
export interface ArtifactFacts {
  readonly digest: string;
  readonly type: string;
  readonly name: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly timeMs: number;
  readonly offset: number;
  /** The step and the port that it came from; absent for uploads. */
  readonly step?: string;
  readonly output?: string;
}

/** An artifact that a run produced or that was uploaded. Ordered by time, then by place within a result. */
export class ArtifactEntry implements Ordered {
  /** @param run  that produced it; undefined for uploads */
  constructor(
    readonly facts: ArtifactFacts,
    readonly run: string | undefined,
  ) {}

  get sequence(): bigint {
    return BigInt(this.facts.timeMs);
  }

  get offset(): number {
    return this.facts.offset;
  }

  get ref(): ArtifactRef {
    const { digest, type, name, mediaType, sizeBytes } = this.facts;
    return create(ArtifactRefSchema, { digest, type, name, mediaType, sizeBytes: BigInt(sizeBytes) });
  }

  /** Absent for uploads. */
  get producer(): Producer | undefined {
    const { step, output } = this.facts;
    if (this.run === undefined || step === undefined || output === undefined) return undefined;
    return create(ProducerSchema, { run: this.run, stepId: step, output });
  }
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
    const project = parseRunName(batch.run)?.project ?? '';
    let offset = Number(batch.revision) * MAX_PER_BATCH;
    for (const { payload } of batch.events) {
      if (payload.case !== 'stepCompleted') continue;
      const { stepId: step } = payload.value;
      for (const { port: output, artifacts } of stepOf(record, step)?.result?.outputs ?? [])
        for (const ref of artifacts)
          this.#addProduced(batch.run, project, factsOf(ref, { timeMs, offset: offset++, step, output }));
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
    const isKnown = known?.facts.name === ref.name && known.facts.type === ref.type;
    if (isKnown && known.run === undefined) return;
    this.#add(new ArtifactEntry(factsOf(ref, { timeMs, offset }), undefined));
  }

  /** What a run produced so far, in order. */
  ofRun(run: string): readonly ArtifactEntry[] {
    return this.#byRun.get(run) ?? [];
  }

  /** Takes in what a run produced, from a snapshot; what is known of it already comes first and stays. */
  restore(run: string, artifacts: readonly ArtifactFacts[]): void {
    const project = parseRunName(run)?.project ?? '';
    for (const facts of artifacts.slice(this.ofRun(run).length)) this.#addProduced(run, project, facts);
  }

  /** What is known of a digest: the first mention, which is what produced it. */
  get(digest: string): ArtifactEntry | undefined {
    return this.#byDigest.get(digest);
  }

  /** Artifacts, newest first, from a place on. */
  newestFirst(from: Ordered | undefined): Iterable<ArtifactEntry> {
    return this.#all.descending(from);
  }

  #addProduced(run: string, project: string, facts: ArtifactFacts): void {
    this.bytes.add(project, facts, facts);
    const entry = new ArtifactEntry(facts, run);
    const own = this.#byRun.get(run);
    if (own) own.push(entry);
    else this.#byRun.set(run, [entry]);
    this.#add(entry);
  }

  /** The place of an entry does not depend on the replica that indexes it. */
  #add(entry: ArtifactEntry): void {
    this.#all.add(entry);
    if (!this.#byDigest.has(entry.facts.digest)) this.#byDigest.set(entry.facts.digest, entry);
  }
}

const factsOf = (
  { digest, type, name, mediaType, sizeBytes }: ArtifactRef,
  rest: Pick<ArtifactFacts, 'timeMs' | 'offset' | 'step' | 'output'>,
): ArtifactFacts => ({ digest, type, name, mediaType, sizeBytes: Number(sizeBytes), ...rest });

/** Fields of an artifact that a filter may name. */
export const ARTIFACT_FIELDS = { type: 'word', name: 'text', run: 'word', step: 'word' } as const;

/** Values of an artifact for a filter. */
export const artifactFields = ({ facts, run }: ArtifactEntry): FieldValues => ({
  type: facts.type,
  name: facts.name,
  run: run ?? '',
  step: facts.step ?? '',
});
