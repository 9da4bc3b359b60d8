/** A signal with an end: `dispose` lets go of its timer. */
export interface Deadline {
  readonly signal: AbortSignal;
  dispose(): void;
}

/**
 * A signal that aborts after a time, or with another one. Not `AbortSignal.any` over `AbortSignal.timeout`: Node 20 may
 * collect the timeout before it fires, and the wait has no end.
 */
export function deadline(ms: number, other: AbortSignal): Deadline {
  const own = new AbortController();
  const follow = () => own.abort(other.reason);
  const timer = setTimeout(() => own.abort(new DOMException(`not within ${ms} ms`, 'TimeoutError')), ms);
  if (other.aborted) follow();
  else other.addEventListener('abort', follow, { once: true });
  return {
    signal: own.signal,
    dispose: () => {
      clearTimeout(timer);
      other.removeEventListener('abort', follow);
    },
  };
}
