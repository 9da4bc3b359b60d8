import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import type { ArtifactRef, Metric, Run, Step } from '@agentforge/contracts';

/** A measured value in the report. */
export interface ReportMetric {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly split: string;
  /** What it belongs to within the phase, for example a model; absent for the phase itself. */
  readonly subject?: string;
}

/** An artifact in the report. */
export interface ReportArtifact {
  readonly name: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

/** A phase in the report. */
export interface ReportPhase {
  readonly phase: string;
  readonly outcome: string;
  readonly metrics: readonly ReportMetric[];
  readonly artifacts: readonly ReportArtifact[];
  readonly wallSeconds: number;
  readonly peakMemoryBytes: number;
  readonly backend: string;
  /** What did the work instead, and why; absent when the phase did it. */
  readonly fallback?: { readonly name: string; readonly cause: string };
  /** Whose result it is; absent when the step worked for it. */
  readonly cachedFrom?: { readonly run: string; readonly step: string };
}

/** What `report.json` holds. */
export interface DemoReport {
  /** Resource name. */
  readonly run: string;
  /** As a number; as text when a number could not hold it. */
  readonly seed: number | string;
  readonly machine: {
    readonly os: string;
    readonly cpu: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly node: string;
    readonly threads: number;
  };
  readonly phases: readonly ReportPhase[];
  readonly final: {
    readonly outcome: string;
    readonly model: ReportArtifact & { readonly path: string };
    /** What the last phase measured on data that nothing was trained on or selected by. */
    readonly metrics: readonly ReportMetric[];
    readonly sample: { readonly prompt: string; readonly text: string };
  };
}

/** A text that the final model wrote. */
export interface Sample {
  readonly prompt: string;
  readonly text: string;
}

/** The model that a run ends with: the only output of type model of its last step. */
export function finalModelOf(run: Run): ArtifactRef | undefined {
  const models = [...run.steps]
    .reverse()
    .map((step) =>
      (step.result?.outputs ?? [])
        .flatMap(({ artifacts }) => artifacts)
        .filter(({ type }) => type === 'model'),
    );
  return models.find((found) => found.length > 0)?.[0];
}

/** The report of a completed run. Everything in it was measured by the phases or read from this machine. */
export function buildReport(run: Run, model: ArtifactRef, sample: Sample): DemoReport {
  const seed = run.graph?.seed ?? 0n;
  const last = run.steps[run.steps.length - 1];
  return {
    run: run.name,
    seed: Number.isSafeInteger(Number(seed)) ? Number(seed) : String(seed),
    machine: {
      os: `${platform()} ${release()} ${arch()}`,
      cpu: cpus()[0]?.model.trim() ?? '',
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      node: process.versions.node,
      threads: Math.max(0, ...run.steps.map((step) => step.result?.usage?.threads ?? 0)),
    },
    phases: run.steps.map(toPhase),
    final: {
      outcome: last?.result?.outcome ?? '',
      model: { ...toArtifact(model), path: 'model' },
      metrics: (last?.result?.metrics ?? []).filter(({ split }) => split === 'report').map(toMetric),
      sample,
    },
  };
}

function toPhase(step: Step): ReportPhase {
  const { result } = step;
  return {
    phase: step.spec?.phase ?? '',
    outcome: result?.outcome ?? '',
    metrics: (result?.metrics ?? []).map(toMetric),
    artifacts: (result?.outputs ?? []).flatMap(({ artifacts }) => artifacts.map(toArtifact)),
    wallSeconds: result?.usage?.wallSeconds ?? 0,
    peakMemoryBytes: Number(result?.usage?.peakMemoryBytes ?? 0n),
    backend: result?.usage?.backend ?? '',
    ...(step.usedFallback ? { fallback: toFallback(step) } : {}),
    ...(step.cachedFrom
      ? { cachedFrom: { run: step.cachedFrom.sourceRun, step: step.cachedFrom.sourceStepId } }
      : {}),
  };
}

function toFallback({ fallback, fallbackCause: cause }: Step) {
  return { name: fallback, cause: cause ? `${cause.code}: ${cause.message}` : '' };
}

function toMetric({ name, value, unit, split, subject }: Metric): ReportMetric {
  return { name, value, unit, split, ...(subject ? { subject } : {}) };
}

function toArtifact({ name, digest, sizeBytes }: ArtifactRef): ReportArtifact {
  return { name, digest, sizeBytes: Number(sizeBytes) };
}
