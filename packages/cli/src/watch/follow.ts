import { setTimeout as sleep } from 'node:timers/promises';
import type { PipelineService, WatchRunResponse } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import type { Client } from '@agentforge/service-kit';
import { stepPages } from '../api/list-steps.js';
import type { RunView } from './run-view.js';

/** How long a server may be away before following gives up. */
const PATIENCE_MS = 60_000;
const MAX_WAIT_MS = 2_000;
/** A watch is opened anew after this time at the latest; nothing is lost, it continues at the last revision. */
const STREAM_DEADLINE_MS = 6 * 3_600_000;

/** What following a run needs. */
export interface FollowOptions {
  readonly client: Pick<Client<typeof PipelineService>, 'watchRun' | 'listSteps'>;
  /** Resource name of the run. */
  readonly name: string;
  readonly view: RunView;
  readonly includeProgress: boolean;
  readonly signal: AbortSignal;
  /** Whether the steps are asked for that a large run is not told with. Default false. */
  readonly wantsAllSteps?: boolean;
  /** Called after the view took in an update. */
  readonly onUpdate: (update: WatchRunResponse) => void;
  /** Called once when the connection is lost, before it is tried again. */
  readonly onLost?: (error: AppError) => void;
}

/**
 * Feeds a view until the run ends, through losses of the connection.
 * @throws AppError  what the server said, or UNAVAILABLE after a minute without it
 */
export async function followRun(options: FollowOptions): Promise<void> {
  const { client, name, view, includeProgress, signal } = options;
  let lostAt: number | undefined;
  let waitMs = 100;
  let isComplete = options.wantsAllSteps !== true;
  for (;;) {
    try {
      if (!isComplete && view.isPartial) {
        await addAllSteps(options);
        isComplete = true;
      }
      const request = { name, afterRevision: view.revision, includeProgress };
      for await (const update of client.watchRun(request, { signal, deadlineMs: STREAM_DEADLINE_MS })) {
        lostAt = undefined;
        waitMs = 100;
        view.apply(update);
        options.onUpdate(update);
        if (view.isFinal) return;
        if (!isComplete && view.isPartial) break;
      }
      if (!isComplete && view.isPartial) continue;
      if (signal.aborted) throw signal.reason;
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      const error = AppError.from(thrown);
      if (!isPassing(error)) throw error;
      if (lostAt === undefined) options.onLost?.(error);
      lostAt ??= Date.now();
      if (Date.now() - lostAt > PATIENCE_MS) throw error;
    }
    await sleep(waitMs, undefined, { signal }).catch(() => {
      throw signal.reason;
    });
    waitMs = Math.min(MAX_WAIT_MS, waitMs * 2);
  }
}

/** Takes in the steps page by page; what happens to them meanwhile is told again by the watch that follows. */
async function addAllSteps({ client, name, view, signal }: FollowOptions): Promise<void> {
  let first: bigint | undefined;
  for await (const { steps, revision } of stepPages(client, name, {}, signal)) {
    first ??= revision;
    view.addSteps(steps);
  }
  if (first !== undefined) view.revision = first;
}

function isPassing(error: AppError): boolean {
  return error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED';
}
