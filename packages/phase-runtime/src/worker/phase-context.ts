import type { ArtifactRef, Manifest } from '@agentforge/contracts';
import type { JsonValue } from '@bufbuild/protobuf';

/** Severity of a log line. */
export type LogLevel = 'info' | 'warn' | 'error';

/** One point of a curve. */
export interface CurvePoint {
  /** Curve, for example `loss` or `fitness/best`. */
  readonly series: string;
  /** What the curve belongs to; may be empty. */
  readonly subject: string;
  /** Abscissa: optimizer step, generation. */
  readonly step: number;
  readonly value: number;
}

/** One measured value. A value that was not measured has none. */
export interface PhaseMetricValue {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** `train`, `fitness`, `report`, or empty when no data is involved. */
  readonly split: string;
  /** What the value belongs to; empty for the step itself. */
  readonly subject: string;
}

/** What one output port delivers. */
export interface PhaseOutput {
  readonly port: string;
  readonly artifacts: readonly ArtifactRef[];
}

/** What a phase returns. Deterministic: no times, hosts or paths. */
export interface PhaseResult {
  /** `created`, `improved`, `no_gain`, `fallback`. */
  readonly outcome: string;
  readonly outputs: readonly PhaseOutput[];
  readonly metrics: readonly PhaseMetricValue[];
  /** What computed, for example `cpu-avx512`. */
  readonly backend: string;
  /** Threads of the compute pool. */
  readonly threads: number;
}

/** A stored blob, as manifests list it. */
export interface StoredBlob {
  readonly digest: string;
  readonly sizeBytes: bigint;
}

/** Files of a manifest: bytes to store, or blobs that are stored already. */
export type FileSet = ReadonlyMap<string, Uint8Array | StoredBlob>;

/** Name and type of a new artifact. */
export interface ArtifactLabel {
  readonly name: string;
  /** `model`, `report`. */
  readonly type: string;
  readonly mediaType: string;
}

/** One artifact of an input port. Bytes are verified against their digest when they are read. */
export interface InputArtifact {
  readonly name: string;
  readonly ref: ArtifactRef;
  /** The bytes of a single-blob artifact. */
  bytes(): Promise<Uint8Array>;
  /** The files of a manifest artifact. */
  manifest(): Promise<Manifest>;
  /** One file of a manifest artifact. */
  file(path: string): Promise<Uint8Array>;
}

/** A checkpoint whose files are all there and intact. */
export interface Checkpoint {
  readonly files: ReadonlyMap<string, StoredBlob>;
  /** Bytes of one file; throws when it does not exist. */
  read(path: string): Promise<Uint8Array>;
}

/** A part of the work of a step. */
export interface StepPart {
  /** What to compute: JSON, at most 256 KiB; a larger one is computed here. */
  readonly content: JsonValue;
  /**
   * All that the answer depends on besides phase, version and what computes: then an earlier answer may be taken instead,
   * also one of another run. Absent when none may.
   */
  readonly key?: string;
}

/** How the subtasks of a step are computed, and what becomes of their answers. */
export interface SpreadWork {
  /** Memory that computing one takes, in bytes: workers that have less do not help. */
  readonly memoryBytes: number;
  /** Computes one here; the same to the bit as whoever else computes it. */
  compute(content: JsonValue, index: number): Promise<JsonValue>;
  /**
   * Takes an answer; may be a safe point. Each subtask is answered once, in no certain order: nothing that the result
   * depends on may depend on it.
   * @returns false when the answer cannot be one: then it is computed here
   */
  accept(index: number, answer: JsonValue): boolean | Promise<boolean>;
}

/** What code that computes a subtask of another worker's step can do. */
export interface SubtaskContext<Config> {
  readonly config: Config;
  readonly seed: bigint;
  readonly device: 'cpu' | 'cuda';
  readonly threads: number;
  /** The artifacts of an input port of the step, in order. */
  inputs(port: string): readonly InputArtifact[];
  /** Heard by nobody: where a subtask stands is of no interest. */
  progress(fraction: number, stage: string): void;
  /** Throws StoppedError when the answer is not wanted any more; called between two calls that compute. */
  throwIfAborted(): void;
}

/** What the code of a phase can do. It runs in a worker thread. */
export interface PhaseContext<Config> {
  readonly config: Config;
  readonly seed: bigint;
  /** Name of the fallback to execute instead of the phase's own work; empty for that work. */
  readonly fallback: string;
  /** What computes: the device that the service has chosen. */
  readonly device: 'cpu' | 'cuda';
  /** Threads that the compute pool may use. */
  readonly threads: number;
  /** The artifacts of an input port, in order; none for an optional port that is not connected. */
  inputs(port: string): readonly InputArtifact[];
  /**
   * Rebuilds state from the last checkpoint. Null when there is none, or when it cannot be used: then a warning is
   * logged, and the work begins afresh.
   */
  restore<State>(decode: (checkpoint: Checkpoint) => Promise<State>): Promise<State | null>;
  /** Says where the work stands. Cheap: called at every step, passed on at most five times a second. */
  progress(fraction: number, stage: string, points?: readonly CurvePoint[]): void;
  /** A line for people. */
  log(level: LogLevel, text: string): void;
  /** Throws StoppedError when the work has to end without a checkpoint; for long calls that take a check. */
  throwIfAborted(): void;
  /** Whether {@link safePoint} would do anything; read it between two steps. */
  isSafePointDue(): boolean;
  /**
   * Where the work can be interrupted. Stores a checkpoint when one is due or the task is released.
   * @param snapshot  the whole state; called only when it is needed
   * @throws StoppedError when the work has to end
   */
  safePoint(snapshot: () => FileSet | Promise<FileSet>): Promise<void>;
  /**
   * Has subtasks computed, here and by workers of the phase that have nothing else to do; resolves when each is answered.
   * @throws StoppedError when the work has to end; what `compute` and `accept` throw
   */
  spread(parts: readonly StepPart[], work: SpreadWork): Promise<void>;
  /** Stores bytes that several checkpoints refer to. */
  store(bytes: Uint8Array): Promise<StoredBlob>;
  /** Stores an artifact of one blob. */
  putBlob(label: ArtifactLabel, bytes: Uint8Array): Promise<ArtifactRef>;
  /** Stores an artifact of several files. Facts about the whole go to the annotations, in snake_case. */
  putManifest(
    label: ArtifactLabel,
    files: FileSet,
    annotations: Readonly<Record<string, string>>,
  ): Promise<ArtifactRef>;
}
