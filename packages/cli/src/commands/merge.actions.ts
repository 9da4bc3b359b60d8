import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  InvalidRecipeError,
  type MergePlan,
  type MergeProgress,
  type MergeReport,
  parseRecipe,
  prepareMerge,
  requireFreeFolder,
  runMerge,
  sizeBytesOf,
  workingBytesOf,
} from '@agentforge/merging';
import { selectDevice } from '@agentforge/tensor';
import { InvalidSpecError, UsageError } from '../errors.js';
import { type Rendering, render } from '../output/format.js';
import { formatBytes, formatSeconds } from '../output/units.js';
import type { Session } from '../session.js';

/** Options of `merge`. */
export interface MergeOptions {
  readonly baseDir?: string;
  readonly dryRun?: boolean;
  readonly threads?: number;
  readonly maxShardSize?: number;
  readonly json?: boolean;
}

/** Between two redraws of the progress line, ms. */
const REDRAW_MS = 100;

/** Merges models by a recipe, in this process. */
export async function mergeModels(
  session: Session,
  options: MergeOptions,
  recipe: string,
  out: string,
): Promise<void> {
  const { io } = session;
  const text = await readRecipe(session, recipe);
  const target = resolve(io.cwd, out);
  await requireFreeFolder(target);
  const plans = await planned(recipe, text, resolve(io.cwd, options.baseDir ?? '.'));
  for (const remark of new Set(plans.flatMap(({ remarks }) => remarks))) {
    session.remark(session.errorStyle.yellow(`note: ${remark}`));
  }
  if (options.dryRun) return show(session, options, dryRun(plans, target));
  selectDevice('cpu', options.threads === undefined ? {} : { threads: options.threads });
  const progress = progressLine(session);
  try {
    const report = await runMerge(plans, text, target, {
      signal: io.interruption(),
      onProgress: progress.draw,
      maxShardBytes: options.maxShardSize,
    });
    progress.clear();
    await show(session, options, finished(report, target));
  } finally {
    progress.clear();
  }
}

async function readRecipe({ io }: Session, path: string): Promise<string> {
  if (path === '-') return io.readStdin();
  try {
    return await readFile(resolve(io.cwd, path), 'utf8');
  } catch (error) {
    throw new UsageError(
      `recipe ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** Checks recipe and models; problems are shown with their lines. */
async function planned(file: string, text: string, baseDir: string): Promise<MergePlan[]> {
  try {
    return await prepareMerge(parseRecipe(text), baseDir);
  } catch (error) {
    if (!(error instanceof InvalidRecipeError)) throw error;
    throw new InvalidSpecError(file === '-' ? 'stdin' : file, error.problems, text);
  }
}

async function show(session: Session, { json }: MergeOptions, rendering: Rendering): Promise<void> {
  if (json) session.io.out.write(render(rendering, 'json', session.style));
  else await session.print(rendering);
}

function finished(report: MergeReport, folder: string): Rendering {
  const { method, tensors, layers, bytes, seconds, peakBytes } = report;
  const made = `${tensors} tensors, ${layers} layers, ${formatBytes(bytes)}`;
  return {
    value: { folder, ...report },
    names: [folder],
    table: (style) =>
      `${style.green('merged')} ${folder} by ${method}: ${made} in ${formatSeconds(seconds)}, ` +
      `at most ${formatBytes(peakBytes)} of memory`,
  };
}

function dryRun(plans: readonly MergePlan[], folder: string): Rendering {
  const merges = plans.map((plan) => {
    const { recipe, tensors, layers } = plan;
    return {
      name: recipe.name ?? folder,
      method: recipe.method.name,
      models: [
        ...new Set(tensors.flatMap(({ sources }) => sources.map(({ checkpoint }) => checkpoint.reference))),
      ],
      layers,
      tensors: tensors.length,
      bytes: sizeBytesOf(plan),
      workingBytes: workingBytesOf(plan),
    };
  });
  return {
    value: { folder, dryRun: true, merges },
    names: [folder],
    table: (style) =>
      merges
        .map(
          ({ name, method, models, layers, tensors, bytes, workingBytes }) =>
            `${style.bold(name)}: ${method} of ${models.join(', ')}: ${tensors} tensors, ${layers} layers, ` +
            `${formatBytes(bytes)}; largest tensor needs ${formatBytes(workingBytes)} of memory`,
        )
        .join('\n'),
  };
}

/** A line on the terminal that shows how far the merge is; nothing where there is no terminal. */
function progressLine({ io: { err } }: Session) {
  let drawnAt = Number.NEGATIVE_INFINITY;
  const draw = ({ done, total, tensor }: MergeProgress): void => {
    if (!err.isTTY || performance.now() - drawnAt < REDRAW_MS) return;
    drawnAt = performance.now();
    err.write(
      `\r\u001b[K${`${Math.floor((100 * done) / total)} %  ${done} of ${total}  ${tensor}`.slice(0, err.columns - 1)}`,
    );
  };
  const clear = (): void => {
    if (drawnAt > 0) err.write('\r\u001b[K');
    drawnAt = Number.NEGATIVE_INFINITY;
  };
  return { draw, clear };
}
