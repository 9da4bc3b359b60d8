import type { WatchRunResponseSchema } from '@agentforge/contracts';
import { type RunBatch, type RunRecord, toRun } from '@agentforge/events';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { WatchInterruptedError } from './pipeline-controller.errors.js';
import type { RunHistory } from './ports/run-history.port.js';
import { hasEnded, type RunIndex } from './projection/run-index.js';

/** How long the index may take to follow what the log delivered. */
const INDEX_LAG_MS = 5_000;

type Update = MessageInitShape<typeof WatchRunResponseSchema>;

/** What a watch needs to know. */
export interface WatchRequest {
  readonly record: RunRecord;
  /** Events after this revision; 0 means after the run as it stands. */
  readonly afterRevision: bigint;
  readonly includesProgress: boolean;
  /** Aborts when the reader goes away. */
  readonly signal: AbortSignal;
  /** Aborts when the service stops. */
  readonly draining: AbortSignal;
}

/**
 * The run as it stands, then its events without a gap, and progress in between, until the run has ended. Events are
 * read from the log as fast as the reader takes them; a reader that is slow loses progress only.
 */
export async function* watchRun(
  { record, afterRevision, includesProgress, signal, draining }: WatchRequest,
  history: RunHistory,
  index: RunIndex,
): AsyncGenerator<Update> {
  const from = afterRevision > 0n ? afterRevision : record.revision;
  yield { update: { case: 'run', value: toRun(record) }, revision: record.revision };
  if (hasEnded(record) && from >= record.revision) return;
  const end = new AbortController();
  const stop = () => end.abort();
  for (const source of [signal, draining]) source.addEventListener('abort', stop, { once: true });
  const events = history
    .tailRun(record.name, { afterRevision: from, signal: end.signal })
    [Symbol.asyncIterator]();
  const progress = includesProgress ? history.progress(record.name, end.signal) : undefined;
  const points = progress?.[Symbol.asyncIterator]();
  let revision = from;
  try {
    let nextBatch = tagged('batch', events.next());
    let nextPoint = points && tagged('point', points.next());
    while (!end.signal.aborted) {
      const arrived = await Promise.race(nextPoint ? [nextBatch, nextPoint] : [nextBatch]);
      if (arrived.result.done) {
        if (arrived.kind === 'batch') break;
        nextPoint = undefined;
      } else if (arrived.kind === 'point') {
        yield { update: { case: 'progress', value: arrived.result.value }, revision: 0n };
        nextPoint = points && tagged('point', points.next());
      } else {
        const batch: RunBatch = arrived.result.value;
        for (const event of batch.events)
          yield { update: { case: 'event', value: event }, revision: batch.revision };
        revision = batch.revision;
        if (await isLast(batch, index)) return;
        nextBatch = tagged('batch', events.next());
      }
    }
    if (draining.aborted && !signal.aborted) throw new WatchInterruptedError(record.name, revision);
  } finally {
    for (const source of [signal, draining]) source.removeEventListener('abort', stop);
    end.abort();
    progress?.close();
  }
}

/** Whether the run had ended with a batch: asked of the index, since a run that ended may have been retried. */
async function isLast({ run, revision }: RunBatch, index: RunIndex): Promise<boolean> {
  await index.waitFor(run, revision, INDEX_LAG_MS);
  const latest = index.get(run);
  return latest !== undefined && hasEnded(latest) && latest.revision <= revision;
}

async function tagged<Kind extends string, T>(
  kind: Kind,
  next: Promise<IteratorResult<T>>,
): Promise<{ readonly kind: Kind; readonly result: IteratorResult<T> }> {
  return { kind, result: await next };
}
