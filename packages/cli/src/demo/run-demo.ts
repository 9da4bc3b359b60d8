import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ArtifactService, PipelineService, type Run, RunState } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { createClient } from '@agentforge/service-kit';
import { downloadManifest } from '../api/download-model.js';
import { type FrontDoor, submitRun } from '../api/submit-run.js';
import { RunNotCompletedError } from '../errors.js';
import { LOCAL_PHASES, LocalStack } from '../local/local-stack.js';
import { formatBytes, formatSeconds } from '../output/units.js';
import { printable } from '../output/width.js';
import type { Session } from '../session.js';
import { followRun } from '../watch/follow.js';
import { drawRunReport } from '../watch/run-report.js';
import { RunView } from '../watch/run-view.js';
import { runStateName } from '../watch/states.js';
import { createViewer } from '../watch/viewers.js';
import { type DemoOptions, type DemoPlan, planDemo } from './demo-plan.js';
import { buildReport, type DemoReport, finalModelOf } from './demo-report.js';
import { reportMarkdown } from './report-markdown.js';
import { writeSample } from './sample.js';

const PHASES_TIMEOUT_MS = 30_000;

/**
 * Starts everything on this machine, runs all phases on real text, prints and writes the report, and stops everything,
 * however it ends.
 */
export async function runDemo(session: Session, options: DemoOptions): Promise<void> {
  const { io, style } = session;
  const startedAt = Date.now();
  const plan = await planDemo(io.root, io.cwd, options);
  const signal = io.interruption();
  const say = (line: string) =>
    io.out.write(`${style.dim(formatSeconds((Date.now() - startedAt) / 1_000).padStart(7))}  ${line}\n`);
  const { corpus } = plan;
  say(
    `corpus: ${plan.corpusName}, ${corpus.documents.length} documents, ${formatBytes(corpus.sizeBytes)}, seed ${plan.seed}`,
  );
  let note = (line: string) => say(style.yellow(line));
  const stack = await LocalStack.start(
    {
      root: io.root,
      dataDir: plan.dataDir,
      env: io.env,
      command: 'forge demo',
      notify: (line) => note(line),
    },
    signal,
  );
  try {
    say(`NATS and ${stack.list().length - 1} services run on loopback, server ${stack.server}`);
    const door = openDoor(stack.server);
    await waitForPhases(door, signal);
    const view = new RunView();
    const run = await submitDemo(plan, door, signal);
    say(`run ${run.name}`);
    const viewer = createViewer({ terminal: io.out, style, view });
    note = (line) => viewer.note(line);
    try {
      await Promise.race([
        stack.failed,
        followRun({
          client: door.pipeline,
          name: run.name,
          view,
          includeProgress: true,
          signal,
          onUpdate: (update) => viewer.update(update),
        }),
      ]);
    } finally {
      viewer.close();
      note = (line) => say(style.yellow(line));
    }
    await finish(session, { plan, door, view, stack, name: run.name });
  } catch (error) {
    session.remark(`stopping everything; the logs stay in ${stack.logDir}`);
    throw error;
  } finally {
    await stack.stop();
  }
  say(`everything is stopped; the whole demo took ${formatSeconds((Date.now() - startedAt) / 1_000)}`);
}

interface Ending {
  readonly plan: DemoPlan;
  readonly door: FrontDoor;
  readonly view: RunView;
  readonly stack: LocalStack;
  readonly name: string;
}

/** Fetches the model, writes the reports and prints what there is. */
async function finish(session: Session, { plan, door, view, stack, name }: Ending): Promise<void> {
  const { io, style } = session;
  const { run } = await door.pipeline.getRun({ name });
  if (!run) throw new AppError('NOT_FOUND', `${name} does not exist`);
  const curves = new Map(view.steps.map((step) => [step.id, step.curves.list()]));
  io.out.write(`\n${drawRunReport(run, curves, style)}\n`);
  const model = finalModelOf(run);
  if (run.state !== RunState.COMPLETED || !model) {
    throw new RunNotCompletedError(name, runStateName(run.state));
  }
  const report = await writeResults(plan, door, view, run, model.digest);
  const { sample } = report.final;
  io.out.write(
    `\n${style.bold('Sample')}\n${style.cyan(printable(sample.prompt))}${printable(sample.text)}\n\n`,
  );
  const here = (path: string) => relative(io.cwd, path) || '.';
  const places: [string, string][] = [
    ['report', `${here(join(plan.outDir, 'report.md'))} and report.json`],
    ['model', `${here(join(plan.outDir, 'model'))}  (transformers: from_pretrained)`],
    ['artifacts', here(stack.artifactDir)],
    ['logs', here(stack.logDir)],
    [
      'look again',
      `forge dev --data ${here(plan.dataDir)}, then forge run get ${name.slice(name.lastIndexOf('/') + 1)}`,
    ],
  ];
  io.out.write(`${places.map(([what, where]) => `${style.dim(what.padEnd(12))}${where}`).join('\n')}\n`);
}

async function writeResults(
  plan: DemoPlan,
  door: FrontDoor,
  view: RunView,
  run: Run,
  digest: string,
): Promise<DemoReport> {
  const { artifact } = await door.artifacts.getArtifact({ digest });
  if (!artifact?.ref) throw new AppError('NOT_FOUND', `artifact ${digest} does not exist`);
  await mkdir(plan.outDir, { recursive: true });
  const folder = join(plan.outDir, 'model');
  const draft = `${folder}.part-${process.pid}`;
  await downloadManifest(door.artifacts, artifact, draft);
  await rm(folder, { recursive: true, force: true });
  await rename(draft, folder);
  const sample = await writeSample(folder, plan.corpus, plan.seed);
  const report = buildReport(run, artifact.ref, sample);
  await writeFile(join(plan.outDir, 'report.md'), reportMarkdown(report, view));
  await writeFile(join(plan.outDir, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  return report;
}

function openDoor(server: string): FrontDoor {
  return {
    pipeline: createClient(PipelineService, server),
    artifacts: createClient(ArtifactService, server),
  };
}

/** A phase service registers itself a moment after it is ready. */
async function waitForPhases(door: FrontDoor, signal: AbortSignal): Promise<void> {
  const wanted = LOCAL_PHASES.map((name) => name.slice('phase-'.length));
  const deadline = Date.now() + PHASES_TIMEOUT_MS;
  for (;;) {
    const { phases } = await door.pipeline.listPhases({}, { signal });
    const missing = wanted.filter((name) => !phases.some((phase) => phase.name === name));
    if (missing.length === 0) return;
    if (Date.now() > deadline) {
      throw new AppError(
        'UNAVAILABLE',
        `phases did not register within ${PHASES_TIMEOUT_MS / 1_000} s: ${missing.join(', ')}`,
      );
    }
    await sleep(100, undefined, { signal });
  }
}

async function submitDemo(plan: DemoPlan, door: FrontDoor, signal: AbortSignal): Promise<Run> {
  await mkdir(dirname(plan.corpusFile), { recursive: true });
  await writeFile(plan.corpusFile, plan.content.bytes);
  return submitRun(plan.spec, door, { project: 'default', runId: plan.id, signal });
}
