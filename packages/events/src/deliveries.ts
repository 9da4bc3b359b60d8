/** What is to be done with a delivery of a task. */
export type DeliveryVerdict = 'run' | 'poison' | { readonly waitMs: number };

/** Tries that follow each other at once; from then on other tasks get a turn in between. */
const FREE_TRIES = 3;
const LONGEST_WAIT_MS = 60_000;

/** Tries that a task gets when nobody says. */
export const DEFAULT_TRIES = 5;

/**
 * Whether a task may be tried, waits, or has to be given up. A delivery that follows one nobody acknowledged means that
 * its worker died or fell silent; a task that does so to several workers is not handed to one more. After three tries
 * every second delivery is handed back with a growing delay, so that other tasks of the queue run in between.
 * Pure; deliveries count from the last checkpoint, because a task that gets on is no poison.
 * @param delivery    1 for the first
 * @param progressAt  the delivery that stored the last checkpoint; 0 when there is none
 * @param tries       at least 1
 * @param ackWaitMs   silence after which a task is delivered again: the unit of the delay
 */
export function judgeDelivery(
  delivery: number,
  progressAt: number,
  tries: number,
  ackWaitMs: number,
): DeliveryVerdict {
  const since = delivery - Math.min(progressAt, delivery - 1);
  if (since > lastDelivery(tries)) return 'poison';
  if (since <= FREE_TRIES || (since - FREE_TRIES) % 2 === 0) return 'run';
  return { waitMs: Math.min(ackWaitMs * 2 ** ((since - FREE_TRIES - 1) / 2), LONGEST_WAIT_MS) };
}

/** The delivery of the last try, counted from the last checkpoint. */
export function lastDelivery(tries: number): number {
  return tries <= FREE_TRIES ? tries : FREE_TRIES + 2 * (tries - FREE_TRIES);
}
