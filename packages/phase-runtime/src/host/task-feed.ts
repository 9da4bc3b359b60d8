import {
  type LogLine,
  LogLineSchema,
  type StepProgress,
  StepProgressSchema,
  type StepTask,
} from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { WorkerMessage } from '../worker/messages.js';

/** Progress and time before which the time that is left is not told: it would be wildly wrong. */
const MIN_BASIS = { fraction: 0.01, ms: 2_000 } as const;

/** Most points and log lines that wait for one slow watcher. */
const MAX_WAITING = 1024;

type Progress = Extract<WorkerMessage, { kind: 'progress' }>;
type Log = Extract<WorkerMessage, { kind: 'log' }>;

/**
 * The progress of one task: the latest for lists, a stream for watchers. A watcher that reads slowly gets fewer,
 * merged messages; memory stays bounded.
 */
export class TaskFeed {
  /** The last progress, without points and lines. */
  latest: StepProgress;
  private readonly watchers = new Set<Watcher>();
  private isClosed = false;
  private origin: { timeMs: number; fraction: number } | undefined;

  constructor(
    private readonly task: StepTask,
    private readonly publish: (progress: StepProgress) => void,
    private readonly nowMs: () => number = Date.now,
  ) {
    this.latest = this.message({ fraction: 0, stage: 'starting' });
  }

  /** Takes progress from the worker. */
  progress({ fraction, stage, points }: Progress): void {
    const eta = this.eta(fraction);
    this.latest = this.message({ fraction, stage, ...(eta ? { eta } : {}) });
    this.spread({
      ...this.latest,
      points: points.map((point) => ({
        $typeName: 'agentforge.phase.v1.CurvePoint',
        ...point,
        step: BigInt(Math.trunc(point.step)),
      })),
    });
  }

  /** Takes a log line from the worker. */
  log({ level, text, timeMs }: Omit<Log, 'kind'>): void {
    const line = create(LogLineSchema, { level, text, time: timestampFromMs(timeMs) });
    this.spread({ ...this.latest, time: timestampFromMs(this.nowMs()), lines: [line] });
  }

  /** Ends every watcher's stream after what it has not read yet. */
  close(): void {
    this.isClosed = true;
    for (const watcher of this.watchers) watcher.wake();
  }

  /** The progress from now on, beginning with the latest; ends with the task or the signal. */
  async *watch(signal: AbortSignal): AsyncGenerator<StepProgress> {
    const watcher = new Watcher(this.latest);
    const wake = () => watcher.wake();
    this.watchers.add(watcher);
    signal.addEventListener('abort', wake, { once: true });
    try {
      while (!signal.aborted) {
        const progress = watcher.take();
        if (progress) yield progress;
        else if (this.isClosed) return;
        else await watcher.woken();
      }
    } finally {
      signal.removeEventListener('abort', wake);
      this.watchers.delete(watcher);
    }
  }

  private spread(progress: StepProgress): void {
    this.publish(progress);
    for (const watcher of this.watchers) watcher.offer(progress);
  }

  /** Linear: as fast as since this worker began. Undefined until that says anything: the first steps are slow. */
  private eta(fraction: number) {
    const timeMs = this.nowMs();
    this.origin ??= { timeMs, fraction };
    const gained = fraction - this.origin.fraction;
    const spentMs = timeMs - this.origin.timeMs;
    if (gained < MIN_BASIS.fraction || spentMs < MIN_BASIS.ms) return undefined;
    return durationFromMs(Math.round(((1 - fraction) * spentMs) / gained));
  }

  private message(fields: { fraction: number; stage: string; eta?: StepProgress['eta'] }): StepProgress {
    const { fraction, stage, eta } = fields;
    return create(StepProgressSchema, {
      run: this.task.run,
      stepId: this.task.stepId,
      attemptId: this.task.attemptId,
      time: timestampFromMs(this.nowMs()),
      fraction,
      stage,
      ...(eta ? { eta } : {}),
    });
  }
}

/** What one watcher has not read yet: one merged message. */
class Watcher {
  private notify: (() => void) | undefined;

  constructor(private waiting: StepProgress | undefined) {}

  offer(progress: StepProgress): void {
    const before = this.waiting;
    this.waiting = before ? merge(before, progress) : progress;
    this.wake();
  }

  take(): StepProgress | undefined {
    const progress = this.waiting;
    this.waiting = undefined;
    return progress;
  }

  wake(): void {
    this.notify?.();
  }

  async woken(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.notify = resolve;
    });
    this.notify = undefined;
  }
}

function merge(before: StepProgress, after: StepProgress): StepProgress {
  const lines: LogLine[] = [...before.lines, ...after.lines].slice(-MAX_WAITING);
  const points = [...before.points, ...after.points];
  return { ...after, lines, points: points.length > MAX_WAITING ? points.slice(-MAX_WAITING) : points };
}
