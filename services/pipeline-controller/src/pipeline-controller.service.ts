import {
  AttemptState,
  type CreateRunRequest,
  formatRunName,
  type GraphSpec,
  type ListRunEventsRequest,
  type ListRunsRequest,
  type ListStepsRequest,
  type PhaseDescriptor,
  type Run,
  type RunEvent,
  RunView,
  StepState,
  type WatchRunRequest,
} from '@agentforge/contracts';
import { isAppError } from '@agentforge/errors';
import {
  fittingSteps,
  isTerminalRun,
  openAttempt,
  type RunRecord,
  type StepRecord,
  toRun,
} from '@agentforge/events';
import type { JsonObject } from '@bufbuild/protobuf';
import { Injectable } from '@nestjs/common';
import type { StepPage } from './answers.js';
import { matches } from './domain/filter.js';
import { encodePageToken } from './domain/page-token.js';
import { newRunId, runIdOfRequest } from './domain/run-id.js';
import type { Ordered } from './domain/sorted-log.js';
import {
  InvalidRequestError,
  PhaseNotFoundError,
  RequestIdReusedError,
  RunNotFoundError,
} from './pipeline-controller.errors.js';
import { EnginePort } from './ports/engine.port.js';
import { PhaseRegistryPort } from './ports/phase-registry.port.js';
import { RequestIndexPort } from './ports/request-index.port.js';
import { RunHistory } from './ports/run-history.port.js';
import { ReadModel } from './projection/read-model.js';
import { RUN_FIELDS, type RunEntry, runFields } from './projection/run-index.js';
import { summaryRun } from './projection/run-summary.js';
import { STEP_FIELDS, stepFields } from './projection/step-fields.js';
import {
  checkFilter,
  checkPageToken,
  checkParent,
  checkRunName,
  pageSizeViolations,
  takePage,
} from './queries.js';
import { reaching } from './reaching.js';
import { ProgressBoard } from './watch/progress-board.js';
import { RunFeeds } from './watch/run-feeds.js';
import { withProgress } from './watch/run-progress.js';
import { watchRun } from './watch/watch-run.js';

const RUN_PAGE = { standard: 50, most: 1_000 };
const STEP_PAGE = { standard: 100, most: 1_000 };
const EVENT_PAGE = { standard: 100, most: 1_000 };
/** Codes after which it is certain that no run was created: the request itself is wrong. */
const REFUSALS: ReadonlySet<string> = new Set(['INVALID_ARGUMENT', 'UNIMPLEMENTED']);
/** How long an answer waits until a list would show what it did. */
const READ_YOUR_WRITES_MS = 5_000;
const RUN_ID = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** What callers can do with runs and phases. */
@Injectable()
export class PipelineUseCases {
  readonly #feeds: RunFeeds;
  /** Runs that have ended, as they were shown. */
  readonly #shownRuns = new WeakMap<RunRecord, Run>();

  constructor(
    private readonly engine: EnginePort,
    private readonly history: RunHistory,
    private readonly readModel: ReadModel,
    private readonly phases: PhaseRegistryPort,
    private readonly requests: RequestIndexPort,
    private readonly board: ProgressBoard,
  ) {
    this.#feeds = new RunFeeds(history);
  }

  /** Accepts a run. The same request id gives the same run. @throws what the engine throws; INVALID_ARGUMENT, ALREADY_EXISTS */
  async create(request: CreateRunRequest): Promise<Run> {
    const project = checkParent(request.parent, false);
    const { requestId, runId } = request;
    if (runId !== '' && !RUN_ID.test(runId))
      throw new InvalidRequestError([
        {
          field: 'run_id',
          description: `is ${JSON.stringify(runId.slice(0, 80))}; must be 1 to 63 of a-z, 0-9 and "-", with a letter or digit at both ends`,
        },
      ]);
    const name = await this.#nameOf(project, requestId, runId);
    const { displayName, labels, graph } = request;
    try {
      return await this.#shown(await this.engine.start({ name, displayName, labels, graph, requestId }));
    } catch (error) {
      // A corrected request may have the same id. What failed otherwise may have created the run all the same.
      if (requestId !== '' && isAppError(error) && REFUSALS.has(error.code))
        await this.requests.release(project, requestId, name).catch(() => undefined);
      throw error;
    }
  }

  /** The name of a run to be. A request id stands for one run, over all replicas. @throws ALREADY_EXISTS, UNAVAILABLE */
  async #nameOf(project: string, requestId: string, runId: string): Promise<string> {
    if (requestId === '') return formatRunName({ project, run: runId || newRunId(Date.now()) });
    const name = formatRunName({ project, run: runId || runIdOfRequest(project, requestId) });
    const known = this.readModel.runs.nameOfRequest(project, requestId);
    const claimed = known ?? (await reaching(this.requests.claim(project, requestId, name)));
    if (claimed !== name && runId !== '') throw new RequestIdReusedError(requestId, claimed);
    return claimed;
  }

  /** Checks a graph and keeps nothing. */
  validate(graph: GraphSpec | undefined) {
    return this.engine.validate(graph);
  }

  /** @throws NOT_FOUND, INVALID_ARGUMENT */
  async get(name: string, view: RunView): Promise<Run> {
    const entry = view === RunView.BASIC ? this.readModel.runs.entry(checkRunName(name)) : undefined;
    if (entry) return this.#summary(entry);
    const record = await this.#record(name);
    if (view === RunView.BASIC) return this.#withProgress(toRun(record, { view: 'basic' }), record);
    // A run that has ended stays as it is as long as its record does.
    const run = this.#shownRuns.get(record) ?? this.#withProgress(toRun(record), record);
    if (isTerminalRun(record.state)) this.#shownRuns.set(record, run);
    return run;
  }

  /** One page of a run's steps, in the order of the specification. @throws NOT_FOUND, INVALID_ARGUMENT */
  async listSteps(request: ListStepsRequest): Promise<StepPage> {
    const { parent, filter, pageSize, pageToken } = request;
    const violations = pageSizeViolations(pageSize, STEP_PAGE);
    if (violations.length > 0) throw new InvalidRequestError(violations);
    const terms = checkFilter(filter, STEP_FIELDS);
    const query = ['steps', parent, filter];
    const from = checkPageToken(query, pageToken)?.offset ?? 0;
    const record = await this.#record(parent, 'parent');
    const wanted = takePage(
      record.steps.from(from),
      pageSize || STEP_PAGE.standard,
      (step) => terms.length === 0 || matches(terms, stepFields(step)),
    );
    const encoded = fittingSteps(wanted.page);
    const last = wanted.page[encoded.length - 1];
    const hasMore = wanted.hasMore || encoded.length < wanted.page.length;
    return {
      steps: encoded.flatMap((bytes, i) => {
        const step = wanted.page[i];
        return step ? [{ id: step.spec.id, mayWait: mayWait(step), bytes }] : [];
      }),
      nextPageToken:
        hasMore && last ? encodePageToken(query, { sequence: 0n, offset: last.position + 1 }) : '',
      revision: record.revision,
    };
  }

  /** One page of runs. @throws INVALID_ARGUMENT */
  list(request: ListRunsRequest): { readonly runs: Run[]; readonly nextPageToken: string } {
    const project = checkParent(request.parent, true);
    const violations = [
      ...pageSizeViolations(request.pageSize, RUN_PAGE),
      ...orderViolations(request.orderBy),
    ];
    if (violations.length > 0) throw new InvalidRequestError(violations);
    const terms = checkFilter(request.filter, RUN_FIELDS);
    const order = orderOf(request.orderBy);
    const query = ['runs', project, request.filter, order.field, String(order.isDescending)];
    const from = checkPageToken(query, request.pageToken);
    const { page, hasMore } = takePage(
      this.#ordered(project, order, from),
      request.pageSize || RUN_PAGE.standard,
      ({ entry }) => terms.length === 0 || matches(terms, runFields(entry)),
    );
    const last = page.at(-1);
    return {
      runs: page.map(({ entry }) => this.#summary(entry)),
      nextPageToken: hasMore && last ? encodePageToken(query, last) : '',
    };
  }

  *#ordered(project: string, { field, isDescending }: RunOrder, from: Ordered | undefined) {
    const { runs } = this.readModel;
    if (field === 'end_time') yield* runs.byEnd(project, isDescending, from);
    else
      for (const entry of runs.entries(project, isDescending, from))
        yield { entry, sequence: entry.sequence, offset: entry.offset };
  }

  /** One page of a run's events. @throws NOT_FOUND, INVALID_ARGUMENT */
  async listEvents(
    request: ListRunEventsRequest,
    signal: AbortSignal,
  ): Promise<{ readonly events: RunEvent[]; readonly nextPageToken: string }> {
    const name = checkRunName(request.name);
    const violations = pageSizeViolations(request.pageSize, EVENT_PAGE);
    if (violations.length > 0) throw new InvalidRequestError(violations);
    const query = ['events', name];
    const from = checkPageToken(query, request.pageToken) ?? { sequence: 0n, offset: 0 };
    const record = await this.#record(name);
    const size = request.pageSize || EVENT_PAGE.standard;
    const events: RunEvent[] = [];
    if (from.sequence > record.revision) return { events, nextPageToken: '' };
    const end = new AbortController();
    const stop = AbortSignal.any([signal, end.signal]);
    // The position names the batch in which the page begins, so reading starts one before it.
    const afterRevision = from.sequence > 0n ? from.sequence - 1n : 0n;
    try {
      for await (const batch of this.history.tailRun(name, { afterRevision, signal: stop })) {
        if (batch.problem && events.length === 0) throw batch.problem;
        if (batch.problem)
          return { events, nextPageToken: encodePageToken(query, { sequence: batch.revision, offset: 0 }) };
        const skip = batch.revision === from.sequence ? from.offset : 0;
        const taken = batch.events.slice(skip, skip + size - events.length);
        events.push(...taken);
        const offset = skip + taken.length;
        if (offset < batch.events.length)
          return { events, nextPageToken: encodePageToken(query, { sequence: batch.revision, offset }) };
        if (batch.revision >= record.revision) break;
        if (events.length === size)
          return {
            events,
            nextPageToken: encodePageToken(query, { sequence: batch.revision + 1n, offset: 0 }),
          };
      }
    } finally {
      end.abort();
    }
    signal.throwIfAborted();
    return { events, nextPageToken: '' };
  }

  /** The run, then what happens to it. @throws NOT_FOUND, INVALID_ARGUMENT */
  async *watch(request: WatchRunRequest, signal: AbortSignal, draining: AbortSignal) {
    const record = await this.#record(request.name);
    const { afterRevision, includeProgress: includesProgress } = request;
    const show = (run: RunRecord) => this.#withProgress(toRun(run), run);
    const sources = { history: this.history, feeds: this.#feeds, index: this.readModel.runs, show };
    yield* watchRun({ record, afterRevision, includesProgress, signal, draining }, sources);
  }

  async pause(name: string): Promise<Run> {
    return this.#shown(await this.engine.pause(checkRunName(name)));
  }

  async resume(name: string): Promise<Run> {
    return this.#shown(await this.engine.resume(checkRunName(name)));
  }

  async cancel(name: string, reason: string): Promise<Run> {
    return this.#shown(await this.engine.cancel(checkRunName(name), reason));
  }

  async retry(
    name: string,
    stepIds: readonly string[],
    configOverrides: Readonly<Record<string, JsonObject>>,
  ): Promise<Run> {
    return this.#shown(await this.engine.retry(checkRunName(name), stepIds, configOverrides));
  }

  /** The phases that are installed, by name. */
  async listPhases(): Promise<PhaseDescriptor[]> {
    return [...(await this.phases.list())].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @throws NOT_FOUND */
  async getPhase(name: string): Promise<PhaseDescriptor> {
    const phases = await this.listPhases();
    const phase = phases.find((known) => known.name === name);
    if (phase === undefined)
      throw new PhaseNotFoundError(
        name,
        phases.map((known) => known.name),
      );
    return phase;
  }

  /** @throws NOT_FOUND, INVALID_ARGUMENT */
  async #record(name: string, field = 'name'): Promise<RunRecord> {
    const record = await this.readModel.run(checkRunName(name, field));
    if (record === undefined) throw new RunNotFoundError(name);
    return record;
  }

  /** Waits until queries of this replica see what the engine did. */
  async #shown(run: Run): Promise<Run> {
    await this.readModel.runs.waitFor(run.name, run.revision, READ_YOUR_WRITES_MS);
    return this.#withProgress(run, this.readModel.runs.record(run.name));
  }

  #summary({ summary, live }: RunEntry): Run {
    return this.#withProgress(summaryRun(summary), live);
  }

  #withProgress(run: Run, record: RunRecord | undefined): Run {
    return withProgress(run, record, (...step) => this.board.of(...step));
  }
}

/** Whether a step may wait for more than other steps. */
const mayWait = (step: StepRecord): boolean =>
  step.state === StepState.READY || openAttempt(step)?.state === AttemptState.QUEUED;

const normalized = (orderBy: string): string => orderBy.trim().replace(/\s+/g, ' ');

interface RunOrder {
  readonly field: 'create_time' | 'end_time';
  readonly isDescending: boolean;
}

/** The order of a list of runs: newest first unless it says otherwise. */
const orderOf = (orderBy: string): RunOrder => ({
  field: normalized(orderBy).startsWith('end_time') ? 'end_time' : 'create_time',
  isDescending: !/^(create|end)_time( asc)?$/.test(normalized(orderBy)),
});

const orderViolations = (orderBy: string) =>
  /^(|(create|end)_time( (asc|desc))?)$/.test(normalized(orderBy))
    ? []
    : [
        {
          field: 'order_by',
          description: `is ${JSON.stringify(orderBy.slice(0, 80))}; must be "create_time" or "end_time", with " desc" for the newest first`,
        },
      ];
