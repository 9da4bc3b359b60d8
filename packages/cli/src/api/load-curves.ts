import type { ArtifactService, Run } from '@agentforge/contracts';
import type { Client } from '@agentforge/service-kit';
import type { SeriesView } from '../watch/curves.js';
import type { CurvesByStep } from '../watch/run-report.js';

/** Largest report that is read for its curves. */
const MAX_REPORT_BYTES = 8 * 1024 * 1024;

/**
 * The curves that finished steps put into their reports. A report without curves, or one that cannot be read, leaves
 * its step without any: they are a decoration of the run, not part of its state.
 */
export async function loadCurves(client: Client<typeof ArtifactService>, run: Run): Promise<CurvesByStep> {
  const curves = new Map<string, SeriesView[]>();
  for (const step of run.steps) {
    const refs = (step.result?.outputs ?? []).flatMap(({ artifacts }) => artifacts);
    const found: SeriesView[] = [];
    for (const ref of refs.filter(
      ({ type, sizeBytes }) => type === 'report' && sizeBytes < MAX_REPORT_BYTES,
    )) {
      try {
        found.push(...curvesOf(JSON.parse(await readText(client, ref.digest))));
      } catch {
        // See above: no curves.
      }
    }
    if (found.length > 0) curves.set(step.spec?.id ?? '', found);
  }
  return curves;
}

/** Everything in a report that is a curve: a `series`, perhaps a `subject`, and `points` of steps and values. */
export function curvesOf(report: unknown): SeriesView[] {
  if (Array.isArray(report)) return report.flatMap(curvesOf);
  if (report === null || typeof report !== 'object') return [];
  const { series, subject, points } = report as Record<string, unknown>;
  if (typeof series === 'string' && Array.isArray(points)) {
    const read = points.flatMap((point) => pointOf(point) ?? []);
    return read.length > 0
      ? [{ series, subject: typeof subject === 'string' ? subject : '', points: read }]
      : [];
  }
  return Object.values(report).flatMap(curvesOf);
}

function pointOf(point: unknown): { x: number; y: number } | undefined {
  const [x, y] = Array.isArray(point)
    ? point
    : [
        (point as Record<string, unknown> | null)?.['step'],
        (point as Record<string, unknown> | null)?.['value'],
      ];
  return typeof x === 'number' && typeof y === 'number' ? { x, y } : undefined;
}

async function readText(client: Client<typeof ArtifactService>, digest: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const { chunk } of client.downloadArtifact({ digest, path: '' })) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
