import { setTimeout as sleep } from 'node:timers/promises';
import { Samples } from './samples.mjs';

/** How long answers are waited for after the last request was sent, ms. */
const DRAIN_MS = 10_000;
/** Requests that may be open at once. Beyond, nothing is sent: memory is bounded, and the system is lost anyhow. */
const MAX_OPEN = 20_000;

const REAL_TIME = { now: () => performance.now(), sleep: (ms) => sleep(ms) };

/**
 * Sends requests at a fixed rate, whatever the answers do, as independent users would. A latency counts from the time
 * at which the request was due, not from the time at which it was sent: a server (or a generator) that stalls shows in
 * every request that was due meanwhile. A closed loop would have asked once and waited, and seen one slow answer
 * (coordinated omission).
 * @param rate        requests per second
 * @param durationMs  of sending
 * @param send        sends request number i and resolves with its answer
 * @param startAt     when the first is due, on the clock of `time`; default now
 * @param time        the clock; tests bring one of their own
 * @returns latencies of all requests: those that failed count too, those without an answer (or never sent) with the
 *   time waited so far; answeredLatencies: those of the requests that were answered; lags: how late requests were sent; failures by code; achievedRate: answers without an error
 *   per second from the first due time to the last answer
 */
export async function openLoop(
  { rate, durationMs, send, startAt, drainMs = DRAIN_MS, maxOpen = MAX_OPEN },
  time = REAL_TIME,
) {
  const start = startAt ?? time.now();
  const total = Math.round((rate * durationMs) / 1000);
  const dueAt = (i) => start + (i * 1000) / rate;
  const latencies = new Samples();
  const answeredLatencies = new Samples();
  const lags = new Samples();
  const failures = new Map();
  /** Requests without an answer. */
  const open = new Set();
  let answered = 0;
  let lastAnswerAt = start;
  const count = (code) => failures.set(code, (failures.get(code) ?? 0) + 1);
  const settle = (i) => {
    if (!open.delete(i)) return false;
    lastAnswerAt = time.now();
    latencies.add(lastAnswerAt - dueAt(i));
    return true;
  };
  const fire = (i) => {
    if (open.size >= maxOpen) {
      count('NOT_SENT');
      latencies.add(start + durationMs + drainMs - dueAt(i));
      return;
    }
    lags.add(time.now() - dueAt(i));
    open.add(i);
    send(i).then(
      () => {
        if (!settle(i)) return;
        answered++;
        answeredLatencies.add(lastAnswerAt - dueAt(i));
      },
      (error) => {
        if (settle(i)) count(String(error?.code ?? error?.name ?? 'UNKNOWN'));
      },
    );
  };

  for (let next = 0; next < total; ) {
    for (const now = time.now(); next < total && dueAt(next) <= now; ) fire(next++);
    if (next < total) await time.sleep(Math.max(0, dueAt(next) - time.now()));
  }
  for (const until = time.now() + drainMs; open.size > 0 && time.now() < until; ) await time.sleep(5);
  const end = time.now();
  for (const i of open) {
    count('NO_ANSWER');
    latencies.add(end - dueAt(i));
  }
  open.clear();
  const elapsedMs = Math.max(durationMs, lastAnswerAt - start);
  const achievedRate = (answered * 1000) / elapsedMs;
  return { latencies, answeredLatencies, lags, failures, total, answered, achievedRate };
}
