import { type Run, type Step, StepState, type WaitReason, WaitReasonSchema } from '@agentforge/contracts';
import { toJson } from '@bufbuild/protobuf';
import { wholeRun } from '../api/list-steps.js';
import { UsageError } from '../errors.js';
import { renderTable } from '../output/table.js';
import { printable } from '../output/width.js';
import type { Session } from '../session.js';
import { didYouMean } from '../spec/suggest.js';
import { waitLines } from '../watch/run-waits.js';
import { isFinal, runStateName, stepStateName } from '../watch/states.js';
import { explainCache } from './cache-explain.actions.js';

/** Steps that have neither ended nor started to execute; of a large run the first ones are explained. */
const WAITING: ReadonlySet<StepState> = new Set([StepState.PENDING, StepState.READY, StepState.RUNNING]);
const MAX_STEPS = 50;

interface Explained {
  readonly id: string;
  readonly state: StepState;
  readonly waits: readonly WaitReason[];
}

/** What is to be explained. */
export interface ExplainOptions {
  readonly cache?: boolean;
}

/** Says why one step, or every step of a run, does not run. */
export async function explainRun(
  session: Session,
  { cache: asksCache = false }: ExplainOptions,
  runId: string,
  stepId?: string,
): Promise<void> {
  if (asksCache) return explainCache(session, runId, stepId);
  const client = await session.pipeline();
  const name = await session.runName(runId);
  const run = await wholeRun(client, name);
  const steps =
    stepId === undefined ? run.steps.filter(isWaiting).slice(0, MAX_STEPS) : [stepOf(run, stepId)];
  const explained: Explained[] = [];
  for (const { spec, state } of steps) {
    const id = spec?.id ?? '';
    const { waits } = await client.explainStep({ run: name, stepId: id });
    if (waits.length > 0 || stepId !== undefined) explained.push({ id, state, waits });
  }
  await session.print({
    value: explained.map(({ id, state, waits }) => ({
      step: id,
      state: stepStateName(state),
      waits: waits.map((wait) => toJson(WaitReasonSchema, wait)),
    })),
    names: explained.map(({ id }) => id),
    table: (style) => {
      if (explained.length === 0) return nothingWaits(run);
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

const isWaiting = ({ state }: Step): boolean => WAITING.has(state);

function stepOf(run: Run, stepId: string): Step {
  const found = run.steps.find(({ spec }) => spec?.id === stepId);
  if (found) return found;
  const ids = run.steps.map(({ spec }) => spec?.id ?? '');
  throw new UsageError(`${run.name} has no step "${stepId}"${didYouMean(stepId, ids)}`);
}

const nothingWaits = (run: Run): string =>
  isFinal(run.state)
    ? `the run has ended: ${runStateName(run.state)}`
    : 'no step waits: all that can run does';
