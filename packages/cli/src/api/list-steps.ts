import {
  type ListStepsResponse,
  type PipelineService,
  type Run,
  RunView,
  type Step,
  StepState,
} from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import type { Client } from '@agentforge/service-kit';
import { UsageError } from '../errors.js';
import { didYouMean } from '../spec/suggest.js';

/** Most steps of a page; the server sends fewer when they are large. */
export const MAX_STEP_PAGE = 1_000;

type Pages = Pick<Client<typeof PipelineService>, 'listSteps'>;
type Runs = Pick<Client<typeof PipelineService>, 'listSteps' | 'getRun'>;

/** Which steps of a run. */
export interface StepQuery {
  readonly state?: string;
  readonly phase?: string;
  readonly filter?: string;
  readonly pageSize?: number;
}

/** The steps of a run that match, page by page, in the order of the specification. */
export async function* stepPages(
  client: Pages,
  parent: string,
  query: StepQuery = {},
  signal?: AbortSignal,
): AsyncGenerator<ListStepsResponse, void, undefined> {
  const filter = stepFilter(query);
  let pageToken = '';
  do {
    const request = { parent, filter, pageToken, pageSize: query.pageSize ?? MAX_STEP_PAGE };
    const page = await client.listSteps(request, { signal });
    yield page;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}

/** A run with all of its steps; GetRun alone gives the first ones of a large run. @throws NOT_FOUND */
export async function wholeRun(client: Runs, name: string, signal?: AbortSignal): Promise<Run> {
  const { run } = await client.getRun({ name, view: RunView.FULL }, { signal });
  if (!run) throw new AppError('NOT_FOUND', `${name} does not exist`);
  if (run.steps.length >= run.stepCount) return run;
  const steps: Step[] = [];
  for await (const page of stepPages(client, name, {}, signal)) steps.push(...page.steps);
  return { ...run, steps };
}

/** A run with the steps that are named at least; all of them are asked for only when one is not among the first. */
export async function runWithSteps(client: Runs, name: string, ids: readonly string[]): Promise<Run> {
  const { run } = await client.getRun({ name });
  if (!run) throw new AppError('NOT_FOUND', `${name} does not exist`);
  return ids.every((id) => hasStep(run, id)) ? run : wholeRun(client, name);
}

/** Whether a run, as far as it is shown, has a step. */
export const hasStep = ({ steps }: Run, id: string): boolean => steps.some(({ spec }) => spec?.id === id);

/** The filter of the API for a query. @throws UsageError INVALID_ARGUMENT: an unknown state */
export function stepFilter({ state, phase, filter }: StepQuery): string {
  const terms: string[] = [];
  if (state !== undefined) {
    const states = Object.values(StepState).filter((name) => typeof name === 'string');
    const wanted = state.toUpperCase();
    if (!states.includes(wanted))
      throw new UsageError(
        `unknown state "${state}"${didYouMean(wanted, states)} (known: ${states.slice(1).join(', ')})`,
      );
    terms.push(`state = "${wanted}"`);
  }
  if (phase !== undefined) terms.push(`phase = "${phase.replace(/["\\]/g, '\\$&')}"`);
  if (filter) terms.push(filter);
  return terms.join(' AND ');
}
