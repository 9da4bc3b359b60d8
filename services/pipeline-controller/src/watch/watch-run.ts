import type { Run, WatchRunResponseSchema } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { isTerminalRun, type RunBatch, type RunRecord } from '@agentforge/events';
import type { EncodedReply } from '@agentforge/service-kit';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { eventUpdate } from '../answers.js';
import { WatchInterruptedError } from '../pipeline-controller.errors.js';
import type { RunHistory } from '../ports/run-history.port.js';
import type { RunIndex } from '../projection/run-index.js';
import { ProgressTail } from './progress-tail.js';
import type { RunFeeds } from './run-feeds.js';
import { Wake } from './wake.js';

/** How long the index may take to follow what the log delivered. */
const INDEX_LAG_MS = 5_000;

type Update = MessageInitShape<typeof WatchRunResponseSchema> | EncodedReply;

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

/** Where watches read from. */
export interface WatchSources {
  readonly history: RunHistory;
  readonly feeds: RunFeeds;
  readonly index: RunIndex;
  /** The run as watchers see it. */
  readonly show: (record: RunRecord) => Run;
}

/**
 * The run as it stands, then its events without a gap, and progress in between, until the run has ended. All watchers
 * of a run share one reader of its log. A watcher that is slow holds a bounded number of bytes: what is beyond, it
 * reads from the log when it comes to it, so it loses progress only.
 * @throws DATA_LOSS  the log of the run is damaged; UNAVAILABLE: the service stops
 */
export async function* watchRun(request: WatchRequest, sources: WatchSources): AsyncGenerator<Update> {
  const { record, afterRevision, includesProgress, signal, draining } = request;
  const { history, feeds, index, show } = sources;
  let revision = afterRevision > 0n ? afterRevision : record.revision;
  yield { update: { case: 'run', value: show(record) }, revision: record.revision };
  refuseQuarantined(record.name, index);
  if (isTerminalRun(record.state) && revision >= record.revision) return;
  const end = new AbortController();
  const wake = new Wake();
  const stop = () => {
    end.abort();
    wake.ring();
  };
  for (const source of [signal, draining]) source.addEventListener('abort', stop, { once: true });
  if (signal.aborted || draining.aborted) stop();
  const ring = () => wake.ring();
  const follower = feeds.follow(record.name, revision, ring);
  const progress = includesProgress ? new ProgressTail(history, record.name, ring) : undefined;
  /** Events of a batch; whether they are the run's last. */
  async function* eventsOf(batch: RunBatch): AsyncGenerator<Update, boolean> {
    if (batch.problem) throw batch.problem;
    for (const event of batch.events) yield eventUpdate(event, batch.revision);
    revision = batch.revision;
    return isLast(batch, index);
  }
  try {
    while (!end.signal.aborted) {
      if (follower.after > revision) {
        const range = { afterRevision: revision, untilRevision: follower.after, signal: end.signal };
        for await (const batch of history.batches(record.name, range)) if (yield* eventsOf(batch)) return;
        if (revision < follower.after) revision = follower.after;
      }
      const batch = follower.take();
      if (batch) {
        if (batch.revision > revision && (yield* eventsOf(batch))) return;
      } else if (follower.isLost) follower.rejoin();
      else if (follower.end) throw follower.end.failure ?? new WatchInterruptedError(record.name, revision);
      else {
        const point = progress?.take();
        if (point) yield { update: { case: 'progress', value: point }, revision: 0n };
        else await wake.next();
      }
    }
  } catch (error) {
    if (!end.signal.aborted) throw error;
  } finally {
    for (const source of [signal, draining]) source.removeEventListener('abort', stop);
    end.abort();
    follower.leave();
    progress?.close();
  }
  if (draining.aborted && !signal.aborted) throw new WatchInterruptedError(record.name, revision);
}

/** Whether the run had ended with a batch: asked of the index, since a run that ended may have been retried. */
async function isLast({ run, revision }: RunBatch, index: RunIndex): Promise<boolean> {
  await index.waitFor(run, revision, INDEX_LAG_MS);
  refuseQuarantined(run, index);
  const latest = index.standing(run);
  return latest?.hasEnded === true && latest.revision <= revision;
}

function refuseQuarantined(run: string, index: RunIndex): void {
  const quarantine = index.standing(run)?.quarantine;
  if (quarantine)
    throw new AppError('DATA_LOSS', `"${run}" cannot be followed: ${quarantine.message}`, {
      reason: quarantine.reason,
      metadata: { run },
    });
}
