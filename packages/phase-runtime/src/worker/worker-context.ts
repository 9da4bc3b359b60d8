import type { ArtifactStore } from '@agentforge/artifacts';
import type { ArtifactRef } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { openCheckpoint, storeFiles, writeCheckpoint } from './checkpoints.js';
import { STOP, StopFlag } from './control.js';
import { inputArtifact } from './input-artifact.js';
import type { WorkerInput, WorkerMessage } from './messages.js';
import type { OrderInbox } from './order-inbox.js';
import type {
  ArtifactLabel,
  Checkpoint,
  CurvePoint,
  FileSet,
  InputArtifact,
  LogLevel,
  PhaseContext,
  SpreadWork,
  StepPart,
  StoredBlob,
} from './phase-context.js';
import { ProgressReporter } from './progress-reporter.js';
import { spreadSubtasks } from './spread.js';
import { StoppedError } from './worker.errors.js';

/** Longest log line that is passed on, in characters. */
const MAX_LINE = 2000;

/** Most log lines of one attempt; later ones are dropped. */
const MAX_LINES = 2000;

/** The context of a phase inside its worker thread: artifacts from the store, everything else as messages. */
export class WorkerContext<Config> implements PhaseContext<Config> {
  readonly config: Config;
  readonly seed: bigint;
  readonly fallback: string;
  readonly device: 'cpu' | 'cuda';
  readonly threads: number;
  private readonly stop: StopFlag;
  private readonly reporter: ProgressReporter;
  private readonly startedAtMs: number;
  private checkpointedAtMs: number;
  private sequence: number;
  private earlierSeconds = 0;
  private lines = 0;
  private batches = 0;

  constructor(
    private readonly input: WorkerInput,
    private readonly artifacts: ArtifactStore,
    private readonly send: (message: WorkerMessage) => void,
    private readonly orders?: OrderInbox,
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.config = input.config as Config;
    this.seed = input.seed;
    this.fallback = input.fallback;
    this.device = input.device;
    this.threads = input.threads;
    this.stop = new StopFlag(input.stop);
    this.sequence = input.checkpointSequence;
    this.startedAtMs = nowMs();
    this.checkpointedAtMs = this.startedAtMs;
    this.reporter = new ProgressReporter((update) => send({ kind: 'progress', ...update }), nowMs);
  }

  /** Wall time of the work over all deliveries, in seconds. */
  get wallSeconds(): number {
    return this.earlierSeconds + (this.nowMs() - this.startedAtMs) / 1000;
  }

  inputs(port: string): readonly InputArtifact[] {
    const found = this.input.inputs.find((input) => input.port === port);
    return found?.artifacts.map((ref) => inputArtifact(this.artifacts, ref)) ?? [];
  }

  async restore<State>(decode: (checkpoint: Checkpoint) => Promise<State>): Promise<State | null> {
    const ref = this.input.checkpoint;
    if (!ref) return null;
    try {
      const { phase, version, seed } = this.input;
      const checkpoint = await openCheckpoint(this.artifacts, ref, { phase, version, seed });
      const state = await decode(checkpoint);
      this.earlierSeconds = checkpoint.wallSeconds;
      this.send({ kind: 'resumed', checkpoint: ref });
      return state;
    } catch (error) {
      const { code, message } = AppError.from(error);
      if (code === 'RESOURCE_EXHAUSTED') throw error;
      this.log('warn', `starting afresh, the checkpoint ${ref.digest} cannot be used: ${message}`);
      return null;
    }
  }

  progress(fraction: number, stage: string, points?: readonly CurvePoint[]): void {
    this.reporter.report(fraction, stage, points);
  }

  log(level: LogLevel, text: string): void {
    if (++this.lines > MAX_LINES) return;
    const line = text.replace(/\p{Cc}+/gu, ' ').slice(0, MAX_LINE);
    this.send({ kind: 'log', level, text: line, timeMs: Date.now() });
  }

  throwIfAborted(): void {
    const { reason } = this.stop;
    if (reason === STOP.cancel || reason === STOP.abandon) throw new StoppedError(reason);
  }

  isSafePointDue(): boolean {
    return this.stop.reason !== undefined || this.isCheckpointDue();
  }

  async safePoint(snapshot: () => FileSet | Promise<FileSet>): Promise<void> {
    this.throwIfAborted();
    if (this.stop.reason === STOP.release || this.isCheckpointDue())
      await this.saveCheckpoint(await snapshot());
    this.throwIfAborted();
    if (this.stop.reason === STOP.release) throw new StoppedError(STOP.release);
  }

  spread(parts: readonly StepPart[], work: SpreadWork): Promise<void> {
    return spreadSubtasks(parts, work, {
      say: this.send,
      orders: this.orders,
      batch: ++this.batches,
      throwIfAborted: () => this.throwIfAborted(),
    });
  }

  store(bytes: Uint8Array): Promise<StoredBlob> {
    return this.artifacts.put(bytes);
  }

  putBlob(label: ArtifactLabel, bytes: Uint8Array): Promise<ArtifactRef> {
    return this.artifacts.put(bytes, label);
  }

  async putManifest(
    label: ArtifactLabel,
    files: FileSet,
    annotations: Readonly<Record<string, string>>,
  ): Promise<ArtifactRef> {
    return this.artifacts.putManifest(
      { files: await storeFiles(this.artifacts, files), annotations: { ...annotations } },
      label,
    );
  }

  /** Sends progress that is still held back. */
  flush(): void {
    this.reporter.flush();
  }

  private async saveCheckpoint(files: FileSet): Promise<void> {
    const { phase, version, seed } = this.input;
    const checkpoint = await writeCheckpoint(this.artifacts, files, {
      phase,
      version,
      seed,
      wallSeconds: this.wallSeconds,
    });
    this.sequence += 1;
    this.checkpointedAtMs = this.nowMs();
    this.send({ kind: 'checkpointed', checkpoint, sequence: this.sequence });
  }

  private isCheckpointDue(): boolean {
    return this.nowMs() - this.checkpointedAtMs >= this.input.checkpointIntervalMs;
  }
}
