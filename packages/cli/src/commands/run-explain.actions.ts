import {
  AttemptState,
  type PipelineService,
  type Run,
  RunView,
  type Step,
  StepState,
  type WaitReason,
  WaitReasonSchema,
} from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import type { Client } from '@agentforge/service-kit';
import { toJson } from '@bufbuild/protobuf';
import { MAX_STEP_PAGE, runWithSteps, stepFilter } from '../api/list-steps.js';
import { UsageError } from '../errors.js';
import { renderTable } from '../output/table.js';
import { printable } from '../output/width.js';
import type { Session } from '../session.js';
import { didYouMean } from '../spec/suggest.js';
import { waitLines } from '../watch/run-waits.js';
import { isFinal, runStateName, stepStateName } from '../watch/states.js';
import { explainCache } from './cache-explain.actions.js';

type Pipeline = Client<typeof PipelineService>;

/** States in which a step may wait: those that could run first, then those that may lack a worker, then the rest. */
const WAITING_STATES: readonly StepState[] = [StepState.READY, StepState.RUNNING, StepState.PENDING];
/** Most steps of a run that are explained, and how many of them are asked about at once. */
const MAX_STEPS = 50;
const AT_ONCE = 8;

interface Explained {
  readonly id: string;
  readonly state: StepState;
  readonly waits: readonly WaitReason[];
}

/** Steps to explain, and how many more may wait. */
interface Chosen {
  readonly steps: readonly Step[];
  readonly left: number;
}

/** What is to be explained. */
export interface ExplainOptions {
  readonly cache?: boolean;
}

/** Says why one step, or the steps of a run, do not run. */
export async function explainRun(
  session: Session,
  { cache: asksCache = false }: ExplainOptions,
  runId: string,
  stepId?: string,
): Promise<void> {
  if (asksCache) return explainCache(session, runId, stepId);
  const client = await session.pipeline();
  const name = await session.runName(runId);
  if (stepId !== undefined) {
    const step = stepOf(await runWithSteps(client, name, [stepId]), stepId);
    const [one] = await waitsOf(client, name, [step]);
    return printExplained(session, one ? [one] : [], '');
  }
  const { run } = await client.getRun({ name, view: RunView.BASIC });
  if (!run) throw new AppError('NOT_FOUND', `${name} does not exist`);
  const { steps, left } = await waitingSteps(client, run);
  const explained = (await waitsOf(client, name, steps)).filter(({ waits }) => waits.length > 0);
  await printExplained(session, explained, nothingWaits(run, left));
  if (left > 0)
    session.remark(
      `${left.toLocaleString('en-US')} more steps run or wait and were not asked about; "forge run steps" lists them, ` +
        '"forge run explain RUN STEP" explains one',
    );
}

async function printExplained(
  session: Session,
  explained: readonly Explained[],
  empty: string,
): Promise<void> {
  await session.print({
    value: explained.map(({ id, state, waits }) => ({
      step: id,
      state: stepStateName(state),
      waits: waits.map((wait) => toJson(WaitReasonSchema, wait)),
    })),
    names: explained.map(({ id }) => id),
    table: (style) => {
      if (explained.length === 0) return empty;
      return renderTable(
        explained.flatMap(({ id, state, waits }) => {
          const lines = waits.length > 0 ? waitLines(waits) : ['nothing; it runs, has ended, or starts next'];
          return lines.map((line, i) =>
            i === 0 ? { id, state: stepStateName(state), line } : { id: '', state: '', line },
          );
        }),
        [
          { title: 'step', value: (row) => row.id },
          { title: 'state', value: (row) => row.state },
          { title: 'waits because', value: (row) => printable(row.line) },
        ],
        style,
      );
    },
  });
}

/** The steps of a run that say most about why it does not go on. */
async function waitingSteps(client: Pipeline, { name, stepCounts }: Run): Promise<Chosen> {
  const steps: Step[] = [];
  let left = 0;
  for (const state of WAITING_STATES) {
    const count = stepCounts.find((entry) => entry.state === state)?.count ?? 0;
    const room = MAX_STEPS - steps.length;
    if (count === 0 || room === 0) {
      left += count;
      continue;
    }
    // Of the steps in progress those that execute wait for nothing, and are left out here.
    const pageSize = state === StepState.RUNNING ? MAX_STEP_PAGE : room;
    const filter = stepFilter({ state: stepStateName(state) });
    const page = await client.listSteps({ parent: name, pageSize, filter });
    const waiting = page.steps.filter((step) => !isExecuting(step));
    steps.push(...waiting.slice(0, room));
    left += Math.max(0, count - page.steps.length) + Math.max(0, waiting.length - room);
  }
  return { steps, left };
}

const isExecuting = ({ state, attempts }: Step): boolean =>
  state === StepState.RUNNING && attempts.at(-1)?.state === AttemptState.STARTED;

/** Why steps wait, in their order: as the list said, else by asking about each, a few at a time. */
async function waitsOf(client: Pipeline, run: string, steps: readonly Step[]): Promise<Explained[]> {
  const explained: Explained[] = [];
  for (let i = 0; i < steps.length; i += AT_ONCE)
    explained.push(
      ...(await Promise.all(
        steps.slice(i, i + AT_ONCE).map(async ({ spec, state, waits }) => {
          const id = spec?.id ?? '';
          const known = waits.length > 0 ? waits : (await client.explainStep({ run, stepId: id })).waits;
          return { id, state, waits: known };
        }),
      )),
    );
  return explained;
}

function stepOf(run: Run, stepId: string): Step {
  const found = run.steps.find(({ spec }) => spec?.id === stepId);
  if (found) return found;
  const ids = run.steps.map(({ spec }) => spec?.id ?? '');
  throw new UsageError(`${run.name} has no step "${stepId}"${didYouMean(stepId, ids)}`);
}

function nothingWaits({ state }: Run, left: number): string {
  if (isFinal(state)) return `the run has ended: ${runStateName(state)}`;
  return left > 0 ? 'none of the steps that were asked about waits' : 'no step waits: all that can run does';
}
