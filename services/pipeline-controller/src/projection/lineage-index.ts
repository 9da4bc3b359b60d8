import { type RunBatch, type RunRecord, resolveInputs, type StepRecord, stepOf } from '@agentforge/events';

/** Steps that are remembered; beyond that those of the oldest runs are forgotten. Some 400 bytes each. */
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

/** A step of lineage as the index knows it. */
export class LineageStep implements LineageStepEntry {
  /** @param entry  what snapshots keep of it */
  constructor(
    readonly run: string,
    readonly entry: LineageStepEntry,
  ) {}

  get id(): string {
    return `${this.run}/steps/${this.step}`;
  }

  get step(): string {
    return this.entry.step;
  }

  get at(): number {
    return this.entry.at;
  }

  get reads(): readonly PortDigest[] {
    return this.entry.reads;
  }

  get makes(): readonly PortDigest[] {
    return this.entry.makes;
  }
}

/** Which steps made an artifact and which read it, over all runs. What else a step depends on is in its run's log. */
export class LineageIndex {
  /** In the order in which runs were first told of. */
  readonly #byRun = new Map<string, Map<string, LineageStep>>();
  /** Goes on where it was: to begin anew each time would pass every run that was forgotten before. */
  readonly #oldestRuns = this.#byRun.keys();
  readonly #makers = new StepsByDigest();
  readonly #readers = new StepsByDigest();
  #steps = 0;

  constructor(private readonly maxSteps = MAX_STEPS) {}

  /** Takes in a batch of a run's log. @param record  the run after it */
  apply(batch: RunBatch, record: RunRecord): void {
    for (const { payload } of batch.events) {
      if (payload.case !== 'stepCompleted' && payload.case !== 'stepCacheHit') continue;
      const step = stepOf(record, payload.value.stepId);
      if (step?.result) this.#add(batch.run, entryOf(record, step, Number(batch.revision)));
    }
  }

  /** The steps of a run that completed and read or made something. */
  ofRun(run: string): LineageStepEntry[] {
    return [...(this.#byRun.get(run)?.values() ?? [])].map(({ entry }) => entry);
  }

  /** Takes in the steps of a run, from a snapshot. */
  restore(run: string, steps: readonly LineageStepEntry[]): void {
    for (const step of steps) this.#add(run, step);
  }

  /** Steps that made an artifact, oldest first. */
  makersOf(digest: string): LineageStep[] {
    return this.#makers.of(digest);
  }

  /** Steps that read an artifact, oldest first. */
  readersOf(digest: string): LineageStep[] {
    return this.#readers.of(digest);
  }

  /** A step that was done again takes the place of what it was before. */
  #add(run: string, entry: LineageStepEntry): void {
    const known = this.#byRun.get(run);
    const former = known?.get(entry.step);
    if (former) this.#forget(former);
    if (entry.makes.length + entry.reads.length === 0) return;
    const step = new LineageStep(run, entry);
    const steps = this.#byRun.get(run) ?? new Map<string, LineageStep>();
    this.#byRun.set(run, steps.set(entry.step, step));
    this.#steps++;
    for (const [, digest] of entry.makes) this.#makers.add(digest, step);
    for (const [, digest] of entry.reads) this.#readers.add(digest, step);
    while (this.#steps > this.maxSteps) {
      const { value: oldest } = this.#oldestRuns.next();
      for (const gone of this.#byRun.get(oldest ?? '')?.values() ?? []) this.#forget(gone);
    }
  }

  #forget(step: LineageStep): void {
    const { run, makes, reads } = step;
    const steps = this.#byRun.get(run);
    steps?.delete(step.step);
    if (steps?.size === 0) this.#byRun.delete(run);
    this.#steps--;
    for (const [, digest] of makes) this.#makers.remove(digest, step);
    for (const [, digest] of reads) this.#readers.remove(digest, step);
  }
}

/** Steps by an artifact of theirs. Almost every artifact has one only, which needs no set. */
class StepsByDigest {
  readonly #single = new Map<string, LineageStep>();
  readonly #several = new Map<string, Set<LineageStep>>();

  of(digest: string): LineageStep[] {
    const single = this.#single.get(digest);
    if (single) return [single];
    return [...(this.#several.get(digest) ?? [])].sort((a, b) => a.at - b.at);
  }

  add(digest: string, step: LineageStep): void {
    const single = this.#single.get(digest);
    const several = this.#several.get(digest);
    if (several) several.add(step);
    else if (single === undefined) this.#single.set(digest, step);
    else if (single !== step) {
      this.#single.delete(digest);
      this.#several.set(digest, new Set([single, step]));
    }
  }

  remove(digest: string, step: LineageStep): void {
    if (this.#single.get(digest) === step) this.#single.delete(digest);
    const several = this.#several.get(digest);
    several?.delete(step);
    if (several?.size === 0) this.#several.delete(digest);
  }
}

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
