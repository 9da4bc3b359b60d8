import type { RunBatch, RunRecord } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import type { RunHistory } from '../ports/run-history.port.js';
import type { UploadLog } from '../ports/upload-log.port.js';
import { ArtifactIndex } from './artifact-index.js';
import { RunIndex } from './run-index.js';

/** Runs and artifacts as queries see them, kept up to date by following the logs. */
export class ReadModel {
  readonly runs = new RunIndex();
  readonly artifacts = new ArtifactIndex();
  readonly #stop = new AbortController();
  #following: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly history: RunHistory,
    private readonly uploads: UploadLog,
    private readonly logger: Logger,
  ) {}

  /** Resolves when everything that was there is taken in. */
  async start(): Promise<void> {
    const { signal } = this.#stop;
    const caughtUp = (follow: (onCaughtUp: () => void) => Promise<void>) =>
      new Promise<void>((resolve, reject) => {
        const following = follow(resolve).catch((error: unknown) => {
          if (!signal.aborted) this.logger.error('events.handler_failed', { operation: 'follow', error });
          reject(error);
        });
        this.#following = Promise.all([this.#following, following]);
      });
    await Promise.all([
      caughtUp(async (onCaughtUp) => {
        for await (const batch of this.history.tail({ signal, onCaughtUp })) this.#apply(batch);
      }),
      caughtUp(async (onCaughtUp) => {
        for await (const { ref, project, time } of this.uploads.watch({ signal, onCaughtUp }))
          this.artifacts.addUpload(ref, time.getTime(), project);
      }),
    ]);
  }

  /** The run as it stands; from the log when the index does not have it. */
  async run(name: string): Promise<RunRecord | undefined> {
    return this.runs.get(name) ?? this.history.load(name);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  /** A batch that does not fold is reported and skipped, so that one broken run does not hide all others. */
  #apply(batch: RunBatch): void {
    try {
      const record = this.runs.apply(batch);
      if (record) this.artifacts.apply(batch, record);
    } catch (error) {
      this.logger.error('events.handler_failed', {
        runId: batch.run,
        revision: String(batch.revision),
        error,
      });
    }
  }
}
