import { type PipelineService, type Run, RunSchema, RunState, StepState } from '@agentforge/contracts';
import type { Client } from '@agentforge/service-kit';
import { toJson } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { UsageError } from '../errors.js';
import { listing, type Rendering } from '../output/format.js';
import { formatSeconds } from '../output/units.js';
import { printable } from '../output/width.js';
import { parseDuration } from '../spec/duration.js';
import { didYouMean } from '../spec/suggest.js';
import { elapsed, progressOf } from '../watch/run-report.js';
import { isFinal, runStateName } from '../watch/states.js';

const MAX_PAGE = 1_000;

/** Which runs. */
export interface RunQuery {
  readonly state?: string;
  /** How they ended; `none` for those that go on. */
  readonly outcome?: string;
  /** When they were created, and when they ended: a time in RFC 3339, or how long ago. */
  readonly since?: string;
  readonly until?: string;
  readonly endedSince?: string;
  readonly endedUntil?: string;
  readonly phase?: string;
  readonly label?: readonly string[];
  readonly filter?: string;
  /** As the API takes it; the newest first when it is absent. */
  readonly orderBy?: string;
  readonly limit: number;
}

/** Bounds of times: option, then what the filter says. */
const BOUNDS = [
  ['since', 'create_time >='],
  ['until', 'create_time <'],
  ['endedSince', 'end_time >='],
  ['endedUntil', 'end_time <'],
] as const;
const OUTCOMES = ['COMPLETED', 'FAILED', 'CANCELLED', 'NONE'];

/** The first runs that match, in their order, page by page up to the limit. "-" means every project. */
export async function listAllRuns(
  client: Client<typeof PipelineService>,
  project: string,
  query: RunQuery,
): Promise<Run[]> {
  const filter = filterOf(query);
  const { orderBy = '' } = query;
  const runs: Run[] = [];
  let pageToken = '';
  do {
    const pageSize = Math.min(MAX_PAGE, query.limit - runs.length);
    const parent = `projects/${project}`;
    const page = await client.listRuns({ parent, pageSize, pageToken, filter, orderBy });
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

/** The filter of the API for a query. @throws UsageError INVALID_ARGUMENT: an unknown state, a malformed time or label */
export function filterOf(query: Omit<RunQuery, 'limit' | 'orderBy'>, nowMs = Date.now()): string {
  const terms: string[] = [];
  if (query.state !== undefined) {
    const states = Object.values(RunState).filter((state) => typeof state === 'string');
    terms.push(`state = ${quote(oneOf('state', query.state, states.slice(1)))}`);
  }
  if (query.outcome !== undefined)
    terms.push(`outcome = ${quote(oneOf('outcome', query.outcome, OUTCOMES))}`);
  for (const [bound, comparison] of BOUNDS) {
    const text = query[bound];
    if (text !== undefined) terms.push(`${comparison} ${quote(timeOf(text, nowMs))}`);
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

function oneOf(what: string, text: string, known: readonly string[]): string {
  const word = text.toUpperCase();
  if (known.includes(word)) return word;
  throw new UsageError(`unknown ${what} "${text}"${didYouMean(word, known)} (known: ${known.join(', ')})`);
}

function timeOf(text: string, nowMs: number): string {
  const agoMs = parseDuration(text);
  // Other texts, like "5", are times as well for the language.
  const givenMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  const time = new Date(agoMs === undefined ? givenMs : nowMs - agoMs);
  if (!Number.isNaN(time.getTime())) return time.toISOString();
  throw new UsageError(
    `"${text}" is no time; write it like 2026-11-01T00:00:00Z, or how long ago, like 2h or 7d`,
  );
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
