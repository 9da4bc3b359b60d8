import { type Ordered, SortedLog } from '../domain/sorted-log.js';

/** Place of runs that go on in the order of ends: after every end. */
const GOES_ON = 2n ** 62n;

/** What the order needs of a run. */
export interface Ending {
  readonly name: string;
  /** Sequence of the run's creation. */
  readonly sequence: bigint;
  /** The run in full while it goes on. */
  readonly live: unknown;
}

/** A run at its place in the order of ends. */
export interface EndPlace<Entry> extends Ordered {
  readonly entry: Entry;
}

/**
 * Runs by when they ended; those that go on count as ending last, in the order of their creation. A run that is
 * retried loses its place until it ends again.
 */
export class EndOrder<Entry extends Ending> {
  readonly #places = new SortedLog<EndPlace<Entry>>();
  /** The place that counts, by run. */
  readonly #current = new Map<string, EndPlace<Entry>>();

  /** A run ended. */
  add(entry: Entry, endMs: number): void {
    const sequence = BigInt(endMs);
    if (this.#current.get(entry.name)?.sequence === sequence) return;
    const place = { entry, sequence, offset: Number(entry.sequence) };
    this.#current.set(entry.name, place);
    this.#places.add(place);
  }

  /**
   * The runs from a place on.
   * @param byCreation  the same runs in the order of their creation, in the direction that is asked for
   */
  *from(
    after: Ordered | undefined,
    isDescending: boolean,
    byCreation: Iterable<Entry>,
  ): Generator<EndPlace<Entry>, void, undefined> {
    if (isDescending) {
      yield* goingOn(byCreation, after, true);
      yield* this.#ended(this.#places.descending(after));
    } else {
      yield* this.#ended(this.#places.ascending(after));
      yield* goingOn(byCreation, after, false);
    }
  }

  *#ended(places: Iterable<EndPlace<Entry>>): Generator<EndPlace<Entry>, void, undefined> {
    for (const place of places)
      if (place.entry.live === undefined && this.#current.get(place.entry.name) === place) yield place;
  }
}

function* goingOn<Entry extends Ending>(
  byCreation: Iterable<Entry>,
  after: Ordered | undefined,
  isDescending: boolean,
): Generator<EndPlace<Entry>, void, undefined> {
  if (isDescending && after !== undefined && after.sequence < GOES_ON) return;
  const from = after?.sequence === GOES_ON ? after.offset : undefined;
  for (const entry of byCreation) {
    if (entry.live === undefined) continue;
    const offset = Number(entry.sequence);
    const isSeen = from !== undefined && (isDescending ? offset >= from : offset <= from);
    if (!isSeen) yield { entry, sequence: GOES_ON, offset };
  }
}
