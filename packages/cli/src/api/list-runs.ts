import { type PipelineService, type Run, RunSchema, RunState, StepState } from '@agentforge/contracts';
import type { Client } from '@agentforge/service-kit';
import { toJson } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { UsageError } from '../errors.js';
import { listing, type Rendering } from '../output/format.js';
import { formatSeconds } from '../output/units.js';
import { printable } from '../output/width.js';
import { didYouMean } from '../spec/suggest.js';
import { elapsed, progressOf } from '../watch/run-report.js';
import { isFinal, runStateName } from '../watch/states.js';

const MAX_PAGE = 1_000;

/** Which runs. */
export interface RunQuery {
  readonly state?: string;
  readonly phase?: string;
  readonly label?: readonly string[];
  readonly filter?: string;
  readonly limit: number;
}

/** The newest runs that match, page by page up to the limit. "-" means every project. */
export async function listAllRuns(
  client: Client<typeof PipelineService>,
  project: string,
  query: RunQuery,
): Promise<Run[]> {
  const filter = filterOf(query);
  const runs: Run[] = [];
  let pageToken = '';
  do {
    const pageSize = Math.min(MAX_PAGE, query.limit - runs.length);
    const page = await client.listRuns({ parent: `projects/${project}`, pageSize, pageToken, filter });
    runs.push(...page.runs);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && runs.length < query.limit);
  return runs;
}

/** Runs as a table. */
export function runTable(runs: readonly Run[]): Rendering {
  return listing(
    runs,
    [
      { title: 'run', value: (run) => run.name.slice('projects/'.length).replace('/runs/', '/') },
      { title: 'name', value: (run) => printable(run.displayName) },
      { title: 'state', value: (run) => runStateName(run.state) },
      { title: 'steps', align: 'right', value: doneOf },
      { title: 'done', align: 'right', value: (run) => (isFinal(run.state) ? '–' : progressOf(run)) },
      { title: 'time', align: 'right', value: (run) => formatSeconds(elapsed(run) ?? 0) },
      {
        title: 'created',
        value: (run) => (run.createTime ? timestampDate(run.createTime).toISOString() : '–'),
      },
    ],
    { value: runs.map((run) => toJson(RunSchema, run)), name: (run) => run.name, empty: 'no runs' },
  );
}

/** The filter of the API for a query. @throws UsageError INVALID_ARGUMENT: an unknown state or a malformed label */
export function filterOf(query: Omit<RunQuery, 'limit'>): string {
  const terms: string[] = [];
  if (query.state !== undefined) {
    const states = Object.values(RunState).filter((state) => typeof state === 'string');
    const state = query.state.toUpperCase();
    if (!states.includes(state)) {
      throw new UsageError(
        `unknown state "${query.state}"${didYouMean(state, states)} (known: ${states.slice(1).join(', ')})`,
      );
    }
    terms.push(`state = ${quote(state)}`);
  }
  if (query.phase !== undefined) terms.push(`phase = ${quote(query.phase)}`);
  for (const label of query.label ?? []) {
    const equals = label.indexOf('=');
    if (equals <= 0) throw new UsageError(`--label ${label}: expected KEY=VALUE`);
    terms.push(`labels.${label.slice(0, equals)} = ${quote(label.slice(equals + 1))}`);
  }
  if (query.filter) terms.push(query.filter);
  return terms.join(' AND ');
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

function doneOf(run: Run): string {
  const done = run.stepCounts
    .filter(({ state }) => state === StepState.COMPLETED || state === StepState.SKIPPED)
    .reduce((sum, { count }) => sum + count, 0);
  return `${done}/${run.stepCount}`;
}
