import {
  type PipelineService,
  type Run,
  RunSchema,
  RunState,
  type Step,
  RunView as ViewOfRun,
} from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import type { Client } from '@agentforge/service-kit';
import { toJson } from '@bufbuild/protobuf';
import { listAllRuns, type RunQuery, runTable } from '../api/list-runs.js';
import { hasStep, runWithSteps, stepFilter } from '../api/list-steps.js';
import { loadCurves } from '../api/load-curves.js';
import { readSpecSource } from '../api/spec-source.js';
import { requireSpec, submitRun } from '../api/submit-run.js';
import { RunNotCompletedError, UsageError } from '../errors.js';
import type { Rendering } from '../output/format.js';
import { formatClock } from '../output/units.js';
import { printable } from '../output/width.js';
import type { Session } from '../session.js';
import { Checker } from '../spec/checker.js';
import { SpecDocument } from '../spec/document.js';
import { parsePath } from '../spec/path.js';
import { didYouMean } from '../spec/suggest.js';
import { renderEvent } from '../watch/event-line.js';
import { followRun } from '../watch/follow.js';
import { drawRunReport } from '../watch/run-report.js';
import { drawRunSummary, MAX_REPORT_STEPS, MAX_TOLD_STEPS, TELLING_STATES } from '../watch/run-summary.js';
import { RunView } from '../watch/run-view.js';
import { paintRunState, runStateName, stepStateName } from '../watch/states.js';
import { createViewer } from '../watch/viewers.js';

type Pipeline = Client<typeof PipelineService>;

/** Options of `run create`. */
export interface CreateOptions {
  readonly file: string;
  readonly set?: readonly string[];
  readonly name?: string;
  readonly runId?: string;
  readonly wait?: boolean;
  readonly watch?: boolean;
}

/** Creates a run; waits for it or shows it when asked to. */
export async function createRun(session: Session, options: CreateOptions): Promise<void> {
  const ready = requireSpec(await readSpecSource(session.io, options.file, options.set ?? []));
  const door = { pipeline: await session.pipeline(), artifacts: await session.artifacts() };
  const project = ready.spec.project ?? (await session.project());
  const run = await submitRun(ready, door, {
    project,
    runId: options.runId ?? ready.spec.run,
    signal: session.io.interruption(),
    ...(options.name === undefined ? {} : { displayName: options.name }),
  });
  if (options.watch) await showRun(session, run.name);
  else if (options.wait) await showRun(session, run.name, { silent: true });
  else
    await session.print({ ...runRendering(run), table: (style) => `${style.green('created')} ${run.name}` });
}

/** Options of `run list`. */
export interface ListOptions extends RunQuery {
  readonly allProjects?: boolean;
}

/** Lists runs. */
export async function listRuns(session: Session, options: ListOptions): Promise<void> {
  const project = options.allProjects ? '-' : await session.project();
  const runs = await listAllRuns(await session.pipeline(), project, options);
  await session.print(runTable(runs));
}

/** Shows one run. */
export async function getRun(session: Session, _options: object, run: string): Promise<void> {
  await printRun(session, await session.runName(run));
}

/** Shows a run until it ends. */
export async function watchRun(session: Session, _options: object, run: string): Promise<void> {
  await showRun(session, await session.runName(run));
}

/** Options of `run logs`. */
export interface LogsOptions {
  readonly follow?: boolean;
  readonly step?: string;
}

/** Prints events and log lines; goes on with those to come when asked to. */
export async function runLogs(session: Session, options: LogsOptions, run: string): Promise<void> {
  const name = await session.runName(run);
  const client = await session.pipeline();
  const view = new RunView();
  const current = await runWithSteps(client, name, options.step === undefined ? [] : [options.step]);
  const wanted = (stepId: string | undefined) => options.step === undefined || stepId === options.step;
  if (options.step !== undefined && !hasStep(current, options.step)) {
    const ids = current.steps.map(({ spec }) => spec?.id ?? '');
    throw new UsageError(`${name} has no step "${options.step}"${didYouMean(options.step, ids)}`);
  }
  let pageToken = '';
  do {
    const page = await client.listRunEvents({ name, pageSize: 500, pageToken });
    for (const event of page.events) {
      const value = event.payload.value;
      if (wanted(value && 'stepId' in value ? value.stepId : undefined)) {
        session.io.out.write(`${renderEvent(event, session.style)}\n`);
      }
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  if (!options.follow) return;
  view.apply({
    $typeName: 'agentforge.pipeline.v1.WatchRunResponse',
    revision: current.revision,
    update: { case: 'run', value: current },
  });
  if (view.isFinal) return;
  const viewer = createViewer({
    terminal: { ...session.io.out, isTTY: false, write: (text) => session.io.out.write(text) },
    style: session.style,
    view,
    showLog: true,
  });
  await followRun({
    client,
    name,
    view,
    includeProgress: true,
    signal: session.io.interruption(),
    onUpdate: (update) => {
      const value = update.update.case === 'event' ? update.update.value.payload.value : update.update.value;
      if (wanted(value && 'stepId' in value ? value.stepId : undefined)) viewer.update(update);
    },
  });
}

/** Pauses a run. */
export async function pauseRun(session: Session, _options: object, run: string): Promise<void> {
  const client = await session.pipeline();
  const response = await client.pauseRun({ name: await session.runName(run) });
  await printChange(session, response.run, 'paused');
}

/** Resumes a run. */
export async function resumeRun(session: Session, _options: object, run: string): Promise<void> {
  const client = await session.pipeline();
  const response = await client.resumeRun({ name: await session.runName(run) });
  await printChange(session, response.run, 'resumed');
}

/** Options of `run cancel`. */
export interface CancelOptions {
  readonly reason: string;
  readonly wait?: boolean;
}

/** Cancels a run. */
export async function cancelRun(session: Session, options: CancelOptions, run: string): Promise<void> {
  const client = await session.pipeline();
  const name = await session.runName(run);
  const response = await client.cancelRun({ name, reason: options.reason });
  if (options.wait) {
    const signal = session.io.interruption();
    await followRun({
      client,
      name,
      view: new RunView(),
      includeProgress: false,
      signal,
      onUpdate: () => undefined,
    });
  }
  await printChange(session, response.run, options.wait ? 'cancelled' : 'being cancelled');
}

/** Options of `run retry`. */
export interface RetryOptions {
  readonly step?: readonly string[];
  readonly set?: readonly string[];
  readonly watch?: boolean;
}

/** Runs a finished run again from some steps on. */
export async function retryRun(session: Session, options: RetryOptions, run: string): Promise<void> {
  const client = await session.pipeline();
  const name = await session.runName(run);
  const changes = options.set ?? [];
  const changed = changes.map((change) => String(parsePath(change.split('=')[0] ?? '')[0]));
  const configOverrides =
    changes.length > 0 ? changedConfigs(await runWithSteps(client, name, changed), changes) : {};
  const response = await client.retryRun({ name, stepIds: [...(options.step ?? [])], configOverrides });
  if (options.watch) await showRun(session, name);
  else await printChange(session, response.run, 'running again');
}

/** Configurations of steps with `step.key=value` changes applied; a step's whole configuration is replaced. */
function changedConfigs(run: Run, changes: readonly string[]) {
  const configs = new Map<string, SpecDocument>();
  const overrides = new Map<string, string[]>();
  for (const change of changes) {
    const [stepId, ...path] = parsePath(change.split('=')[0] ?? '');
    const step = run.steps.find(({ spec }) => spec?.id === stepId);
    if (!step || path.length === 0 || !change.includes('=')) {
      throw new UsageError(`--set ${change}: expected STEP.KEY=VALUE with a step of ${run.name}`);
    }
    overrides.set(String(stepId), [
      ...(overrides.get(String(stepId)) ?? []),
      change.slice(change.indexOf('.') + 1),
    ]);
  }
  for (const [stepId, list] of overrides) {
    const config = run.steps.find(({ spec }) => spec?.id === stepId)?.spec?.config ?? {};
    configs.set(stepId, new SpecDocument(JSON.stringify(config), list));
  }
  const problems = [...configs.values()].flatMap((document) => document.problems);
  if (problems.length > 0)
    throw new UsageError(problems.map(({ origin, message }) => `${origin}: ${message}`).join('; '));
  return Object.fromEntries(
    [...configs].map(([stepId, document]) => {
      const value = new Checker(document).json(document.toValue(), []);
      return [stepId, value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {}];
    }),
  );
}

/**
 * Shows a run until it ends, then prints it.
 * @throws RunNotCompletedError ABORTED: it failed or was cancelled
 */
export async function showRun(session: Session, name: string, { silent = false } = {}): Promise<void> {
  const client = await session.pipeline();
  const view = new RunView();
  const terminal = (await session.format()) === 'table' ? session.io.out : session.io.err;
  const viewer = silent ? undefined : createViewer({ terminal, style: session.style, view });
  try {
    await followRun({
      client,
      name,
      view,
      includeProgress: !silent,
      wantsAllSteps: !silent,
      signal: session.io.interruption(),
      onUpdate: (update) => viewer?.update(update),
      onLost: (error) => viewer?.note(`connection lost (${error.message}); trying again`),
    });
  } catch (error) {
    viewer?.close();
    if (AppError.from(error).code === 'CANCELLED') {
      session.remark(`${name} goes on; "forge run watch" shows it, "forge run cancel" stops it`);
    }
    throw error;
  }
  viewer?.close();
  await printRun(session, name);
  if (view.state !== RunState.COMPLETED) {
    throw new RunNotCompletedError(name, runStateName(view.state));
  }
}

async function printRun(session: Session, name: string): Promise<void> {
  const client = await session.pipeline();
  const isTable = (await session.format()) === 'table';
  const get = async (view: ViewOfRun): Promise<Run> => {
    const { run } = await client.getRun({ name, view });
    if (!run) throw new AppError('NOT_FOUND', `${name} does not exist`);
    return run;
  };
  // For people a large run is its counts: no more of it is asked for.
  const basic = isTable ? await get(ViewOfRun.BASIC) : undefined;
  if (basic && basic.stepCount > MAX_REPORT_STEPS) {
    const told = await tellingSteps(client, basic);
    await session.print({ ...runRendering(basic), table: (style) => drawRunSummary(basic, told, style) });
    return;
  }
  const run = await get(ViewOfRun.FULL);
  if (run.steps.length < run.stepCount)
    session.remark(
      `the first ${run.steps.length} of ${run.stepCount} steps; "forge run steps" lists all of them`,
    );
  const curves = isTable ? await loadCurves(await session.artifacts(), run) : new Map();
  await session.print({ ...runRendering(run), table: (style) => drawRunReport(run, curves, style) });
}

/** Some steps of each state that says most about a large run. */
async function tellingSteps(client: Pipeline, { name, stepCounts }: Run): Promise<Step[]> {
  const told: Step[] = [];
  for (const state of TELLING_STATES.filter((one) => stepCounts.some((entry) => entry.state === one))) {
    const filter = stepFilter({ state: stepStateName(state) });
    const { steps } = await client.listSteps({ parent: name, pageSize: MAX_TOLD_STEPS, filter });
    told.push(...steps);
  }
  return told;
}

async function printChange(session: Session, run: Run | undefined, what: string): Promise<void> {
  if (!run) return;
  await session.print({
    ...runRendering(run),
    table: (style) =>
      `${run.name} is ${what} (${paintRunState(run.state, style)}) ${style.dim(formatClock(new Date()))}`,
  });
}

function runRendering(run: Run): Rendering {
  return {
    value: toJson(RunSchema, run),
    names: [run.name],
    table: () => printable(run.name),
  };
}
