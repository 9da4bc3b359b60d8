/** What is to be done with a delivery of a task. */
export type DeliveryVerdict = 'run' | 'poison' | { readonly waitMs: number };

/** How far earlier deliveries of a task came. */
export interface TaskHistory {
  /** The delivery that stored the last checkpoint; 0 when there is none. */
  readonly progressAt: number;
  /** Workers that began with the task since then. */
  readonly begun: number;
}

/** Deliveries that follow each other at once; from then on other tasks get a turn in between. */
const FREE_DELIVERIES = 3;
const LONGEST_WAIT_MS = 60_000;

/** Tries that a task gets when nobody says. */
export const DEFAULT_TRIES = 5;

/**
 * Whether a task may be tried, waits, or has to be given up. A task with which several workers began, and of which none
 * was heard again, is not handed to one more; a delivery that reached nobody alive says nothing about the task and is
 * no try. After three deliveries every second one is handed back with a growing delay, so that other tasks of the queue
 * run in between. Pure; all counts begin at the last checkpoint, because a task that gets on is no poison.
 * @param delivery   1 for the first
 * @param history    of the deliveries before this one
 * @param tries      at least 1
 * @param ackWaitMs  silence after which a task is delivered again: the unit of the delay
 */
export function judgeDelivery(
  delivery: number,
  { progressAt, begun }: TaskHistory,
  tries: number,
  ackWaitMs: number,
): DeliveryVerdict {
  if (begun >= tries) return 'poison';
  const since = delivery - Math.min(progressAt, delivery - 1);
  if (since <= FREE_DELIVERIES || (since - FREE_DELIVERIES) % 2 === 0) return 'run';
  return { waitMs: Math.min(ackWaitMs * 2 ** ((since - FREE_DELIVERIES - 1) / 2), LONGEST_WAIT_MS) };
}
