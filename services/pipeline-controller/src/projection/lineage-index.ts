import { type RunBatch, type RunRecord, resolveInputs, type StepRecord, stepOf } from '@agentforge/events';

/** Steps that are remembered; beyond that the oldest are forgotten. Some 400 bytes each. */
const MAX_STEPS = 500_000;

/** An artifact that went in or out through a port. */
export type PortDigest = readonly [port: string, digest: string];

/** A step that completed: what it read and what it made. Plain JSON, since snapshots keep it. */
export interface LineageStepEntry {
  readonly step: string;
  /** Revision of the batch that says so: which of two steps was first does not depend on who tells of them. */
  readonly at: number;
  readonly reads: readonly PortDigest[];
  readonly makes: readonly PortDigest[];
}

interface Known extends LineageStepEntry {
  readonly id: string;
  readonly run: string;
}

/** Which steps made an artifact and which read it, over all runs. What else a step depends on is in its run's log. */
export class LineageIndex {
  readonly #steps = new Map<string, Known>();
  readonly #byRun = new Map<string, Set<string>>();
  readonly #makers = new Map<string, Set<string>>();
  readonly #readers = new Map<string, Set<string>>();

  constructor(private readonly maxSteps = MAX_STEPS) {}

  /** Takes in a batch of a run's log. @param record  the run after it */
  apply(batch: RunBatch, record: RunRecord): void {
    for (const { payload } of batch.events) {
      if (payload.case !== 'stepCompleted' && payload.case !== 'stepCacheHit') continue;
      const step = stepOf(record, payload.value.stepId);
      if (step?.result) this.#add(batch.run, entryOf(record, step, Number(batch.revision)));
    }
  }

  /** The steps of a run that completed. */
  ofRun(run: string): LineageStepEntry[] {
    return [...(this.#byRun.get(run) ?? [])].flatMap((id) => {
      const known = this.#steps.get(id);
      return known ? [{ step: known.step, at: known.at, reads: known.reads, makes: known.makes }] : [];
    });
  }

  /** Takes in the steps of a run, from a snapshot. */
  restore(run: string, steps: readonly LineageStepEntry[]): void {
    for (const step of steps) this.#add(run, step);
  }

  /** Steps that made an artifact, oldest first. */
  makersOf(digest: string): Known[] {
    return this.#known(this.#makers.get(digest));
  }

  /** Steps that read an artifact, oldest first. */
  readersOf(digest: string): Known[] {
    return this.#known(this.#readers.get(digest));
  }

  #known(ids: ReadonlySet<string> | undefined): Known[] {
    return [...(ids ?? [])].flatMap((id) => this.#steps.get(id) ?? []).sort((a, b) => a.at - b.at);
  }

  /** A step that was done again takes the place of what it was before. */
  #add(run: string, entry: LineageStepEntry): void {
    const id = `${run}/steps/${entry.step}`;
    this.#forget(id);
    this.#steps.set(id, { ...entry, id, run });
    addTo(this.#byRun, run, id);
    for (const [, digest] of entry.makes) addTo(this.#makers, digest, id);
    for (const [, digest] of entry.reads) addTo(this.#readers, digest, id);
    if (this.#steps.size <= this.maxSteps) return;
    const [oldest] = this.#steps.keys();
    if (oldest !== undefined) this.#forget(oldest);
  }

  #forget(id: string): void {
    const known = this.#steps.get(id);
    if (known === undefined) return;
    this.#steps.delete(id);
    removeFrom(this.#byRun, known.run, id);
    for (const [, digest] of known.makes) removeFrom(this.#makers, digest, id);
    for (const [, digest] of known.reads) removeFrom(this.#readers, digest, id);
  }
}

/** A step of lineage as the index knows it. */
export type LineageKnown = Known;

function entryOf(record: RunRecord, step: StepRecord, at: number): LineageStepEntry {
  const flat = (
    ports: readonly { readonly port: string; readonly artifacts: readonly { digest: string }[] }[],
  ) => ports.flatMap(({ port, artifacts }) => artifacts.map(({ digest }): PortDigest => [port, digest]));
  return {
    step: step.spec.id,
    at,
    reads: flat(resolveInputs(record, step)),
    makes: flat(step.result?.outputs ?? []),
  };
}

function addTo(index: Map<string, Set<string>>, key: string, id: string): void {
  const ids = index.get(key) ?? new Set();
  index.set(key, ids.add(id));
}

function removeFrom(index: Map<string, Set<string>>, key: string, id: string): void {
  const ids = index.get(key);
  ids?.delete(id);
  if (ids?.size === 0) index.delete(key);
}
