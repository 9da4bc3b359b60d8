import {
  type CacheExplanation,
  type GraphSpec,
  type Pool,
  parseProjectName,
  parseRunName,
  RunState,
  type StartExecutionRequest,
} from '@agentforge/contracts';
import type { FieldViolation } from '@agentforge/errors';
import { isAppError } from '@agentforge/errors';
import { isTerminalRun, isWhole, type RunRecord, stepOf } from '@agentforge/events';
import type { JsonObject } from '@bufbuild/protobuf';
import { Injectable } from '@nestjs/common';
import { ConfigRules } from './domain/config-rules.js';
import { bounded, judgeGraph } from './domain/graph-rules.js';
import type { Wait } from './engine/admission/wait.js';
import { Engine } from './engine/engine.js';
import type { StepWaits } from './engine/explain-run.js';
import type { EngineInput } from './engine/inputs.js';
import {
  InvalidFieldError,
  InvalidGraphError,
  RequestIdReusedError,
  RunExistsError,
  RunNotFoundError,
} from './orchestrator.errors.js';
import { fillDefaults, sizeViolations, toGraphDraft, toPhaseFacts } from './orchestrator.mapper.js';
import { type ConfigQuestion, PhaseChecks } from './phase-checks.js';
import { Capacity } from './ports/capacity.port.js';
import { Limits } from './ports/limits.port.js';
import { PhaseCatalog } from './ports/phase-catalog.port.js';
import { digestOfRequest } from './request-digest.js';
import { type Amounts, NOTHING, plus } from './scheduling/domain/resources.js';
import { toPool } from './scheduling/scheduling.mapper.js';

/** A graph with defaults filled in, or what is wrong with it. */
export interface GraphVerdict {
  readonly violations: readonly FieldViolation[];
  readonly isOnlyUnimplemented: boolean;
  readonly graph?: GraphSpec;
}

/** What the runs of a project use now. */
export interface ProjectUsage {
  readonly runningRuns: number;
  readonly queuedRuns: number;
  readonly runningSteps: number;
  readonly leased: Amounts;
}

/** Bounds of what a request may carry besides its graph. */
const MAX_LABELS = 64;
const LABEL_KEY = /^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/;
const MAX_TEXT = 256;

/** What callers can do with runs. */
@Injectable()
export class OrchestratorUseCases {
  readonly #configRules = new ConfigRules();

  constructor(
    private readonly engine: Engine,
    private readonly phases: PhaseCatalog,
    private readonly limits: Limits,
    private readonly capacity: Capacity,
    private readonly phaseChecks: PhaseChecks,
  ) {}

  /** Checks a graph, also with the phases that it names, and keeps nothing. */
  validate(graph: GraphSpec | undefined): Promise<GraphVerdict> {
    return this.#judge(graph, true);
  }

  /** @param asksPhases  whether the rules that only phases know count, too */
  async #judge(graph: GraphSpec | undefined, asksPhases: boolean): Promise<GraphVerdict> {
    const isMissing = { field: 'graph', description: 'is missing' };
    if (graph === undefined) return { violations: [isMissing], isOnlyUnimplemented: false };
    const facts = new Map(this.phases.list().map((phase) => [phase.name, toPhaseFacts(phase)]));
    const {
      violations: own,
      configs,
      sound,
    } = judgeGraph(toGraphDraft(graph), facts, this.limits, this.#configRules, this.capacity.pools());
    const questions = sound.flatMap((i) => {
      const phase = this.phases.get(graph.steps[i]?.phase ?? '');
      const config = configs[i];
      return phase && config ? [{ phase, config, field: `steps[${i}].config` }] : [];
    });
    const ofPhases = asksPhases ? await this.phaseChecks.judge(questions) : [];
    const violations = bounded([...own, ...ofPhases]);
    if (violations.length === 0) {
      const filled = fillDefaults(graph, configs, (name) => this.phases.get(name));
      const tooLarge = sizeViolations(filled, this.limits.maxGraphBytes);
      if (tooLarge.length > 0) return { violations: tooLarge, isOnlyUnimplemented: false };
      return { violations: [], isOnlyUnimplemented: false, graph: filled };
    }
    return {
      violations: violations.map(({ field, description }) => ({ field, description })),
      isOnlyUnimplemented: violations.every((violation) => violation.unimplemented === true),
    };
  }

  /**
   * Accepts a run. The same name with the same content returns the run that exists.
   * @throws INVALID_ARGUMENT, UNIMPLEMENTED, ALREADY_EXISTS, RESOURCE_EXHAUSTED, UNAVAILABLE
   */
  async start(request: StartExecutionRequest): Promise<RunRecord> {
    const violations = requestViolations(request);
    if (violations.length > 0) throw new InvalidFieldError(violations);
    const requestDigest = digestOfRequest(request);
    const existing = await this.engine.stateOf(request.name);
    if (existing !== undefined && (isWhole(existing) || isTerminalRun(existing.state)))
      return sameRun(existing, request, requestDigest);
    // What was accepted before phases could be asked is accepted to its end.
    const verdict = await this.#judge(request.graph, existing === undefined);
    if (verdict.graph === undefined)
      throw new InvalidGraphError(prefixed(verdict.violations), verdict.isOnlyUnimplemented);
    try {
      const { displayName, labels, requestId, schedule } = request;
      const { graph } = verdict;
      if (existing !== undefined)
        return await this.#complete(sameRun(existing, request, requestDigest), graph);
      return await this.engine.create(request.name, {
        kind: 'create',
        displayName,
        labels,
        graph,
        requestId,
        requestDigest,
        schedule,
      });
    } catch (error) {
      if (!isAppError(error) || error.code !== 'FAILED_PRECONDITION') throw error;
      const winner = await this.engine.stateOf(request.name, true);
      if (winner === undefined) throw error;
      return await this.#complete(sameRun(winner, request, requestDigest), verdict.graph);
    }
  }

  /** The run with all of its steps: whoever began to create it may be gone. */
  #complete(run: RunRecord, graph: GraphSpec): Promise<RunRecord> | RunRecord {
    const isDone = isWhole(run) || isTerminalRun(run.state) || run.state === RunState.CANCELLING;
    return isDone ? run : this.engine.complete(run.name, graph.steps);
  }

  /** @throws NOT_FOUND, INVALID_ARGUMENT */
  async get(name: string): Promise<RunRecord> {
    const state = await this.engine.stateOf(checked(name), true);
    if (state === undefined) throw new RunNotFoundError(name);
    return state;
  }

  /** Why a step does not run. @throws NOT_FOUND, INVALID_ARGUMENT, UNAVAILABLE */
  explainStep(run: string, stepId: string): Promise<readonly Wait[]> {
    return this.engine.explainStep(checked(run), stepId);
  }

  /** Why the steps of a run do not run. @throws NOT_FOUND, INVALID_ARGUMENT, UNAVAILABLE */
  explainRun(run: string): Promise<readonly StepWaits[]> {
    return this.engine.explainRun(checked(run));
  }

  /** What the step cache says about a step. @throws NOT_FOUND, INVALID_ARGUMENT, UNAVAILABLE */
  explainCache(run: string, stepId: string): Promise<CacheExplanation> {
    return this.engine.explainCache(checked(run), stepId);
  }

  /** The pools that workers advertise, with the leases that hold them, by name. */
  pools(): readonly Pool[] {
    const { entries } = this.capacity.ledger();
    return this.capacity.pools().map((pool) => toPool(pool, entries));
  }

  /** What the runs of a project use. @throws INVALID_ARGUMENT */
  usageOf(name: string): ProjectUsage {
    const project = parseProjectName(name);
    if (project === undefined) throw new InvalidFieldError([badProject(name)]);
    const { running, queued, steps } = this.engine.census.usageOf(project);
    const leased = this.capacity.ledger().entries.filter((entry) => entry.project === project);
    return {
      runningRuns: running.size,
      queuedRuns: queued.size,
      runningSteps: steps,
      leased: leased.reduce(plus, NOTHING),
    };
  }

  /** Hands a command to a run. @throws NOT_FOUND, FAILED_PRECONDITION, INVALID_ARGUMENT, UNAVAILABLE */
  async command(
    name: string,
    input: Extract<EngineInput, { kind: 'pause' | 'resume' | 'cancel' }>,
  ): Promise<RunRecord> {
    await this.engine.refresh(checked(name));
    return this.engine.post(name, input);
  }

  /**
   * Runs a run again from some steps on.
   * @throws NOT_FOUND, FAILED_PRECONDITION, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE
   */
  async retry(
    name: string,
    stepIds: readonly string[],
    overrides: Readonly<Record<string, JsonObject>>,
  ): Promise<RunRecord> {
    await this.engine.refresh(checked(name));
    const state = await this.get(name);
    const configOverrides = await this.#fillOverrides(state, overrides);
    return this.engine.retry(name, { kind: 'retry', stepIds, configOverrides });
  }

  async #fillOverrides(
    state: RunRecord,
    overrides: Readonly<Record<string, JsonObject>>,
  ): Promise<Readonly<Record<string, JsonObject>>> {
    const violations: FieldViolation[] = [];
    const questions: ConfigQuestion[] = [];
    const filled = Object.entries(overrides).map(([stepId, config]): [string, JsonObject] => {
      const phase = this.phases.get(stepOf(state, stepId)?.spec.phase ?? '');
      if (phase === undefined) return [stepId, config];
      const field = `config_overrides["${stepId}"]`;
      const judged = this.#configRules.judge(toPhaseFacts(phase).configSchema, config, field);
      violations.push(...judged.violations);
      if (judged.violations.length === 0) questions.push({ phase, config: judged.config, field });
      return [stepId, judged.config];
    });
    violations.push(...(await this.phaseChecks.judge(questions)));
    if (violations.length > 0) throw new InvalidFieldError(violations);
    return Object.fromEntries(filled);
  }
}

const checked = (name: string): string => {
  if (parseRunName(name) === undefined) throw new InvalidFieldError([badName(name)]);
  return name;
};

const badProject = (name: string): FieldViolation => ({
  field: 'project',
  description: `is ${JSON.stringify(name.slice(0, 200))}; must be "projects/{project}" of a-z, 0-9 and "-"`,
});

const badName = (name: string): FieldViolation => ({
  field: 'name',
  description: `is ${JSON.stringify(name.slice(0, 200))}; must be "projects/{project}/runs/{run}" of a-z, 0-9 and "-"`,
});

const prefixed = (violations: readonly FieldViolation[]): FieldViolation[] =>
  violations.map(({ field, description }) => ({
    field: field === 'graph' ? field : `graph.${field}`,
    description,
  }));

function sameRun(
  existing: RunRecord,
  { requestId }: StartExecutionRequest,
  requestDigest: string,
): RunRecord {
  if (existing.requestDigest === requestDigest) return existing;
  if (requestId !== '' && requestId === existing.requestId)
    throw new RequestIdReusedError(requestId, existing.name);
  throw new RunExistsError(existing.name);
}

function requestViolations(request: StartExecutionRequest): FieldViolation[] {
  const violations: FieldViolation[] = [];
  if (parseRunName(request.name) === undefined) violations.push(badName(request.name));
  if (request.displayName.length > MAX_TEXT)
    violations.push({
      field: 'display_name',
      description: `has ${request.displayName.length} characters; at most ${MAX_TEXT}`,
    });
  if (request.requestId.length > MAX_TEXT)
    violations.push({
      field: 'request_id',
      description: `has ${request.requestId.length} characters; at most ${MAX_TEXT}`,
    });
  const labels = Object.entries(request.labels);
  if (labels.length > MAX_LABELS)
    violations.push({ field: 'labels', description: `has ${labels.length} entries; at most ${MAX_LABELS}` });
  for (const [key, value] of labels) {
    if (!LABEL_KEY.test(key))
      violations.push({
        field: `labels["${key.slice(0, 80)}"]`,
        description:
          'has a bad key; use 1 to 63 of a-z, 0-9, ".", "_", "/" and "-", with a letter or digit at both ends',
      });
    if (value.length > MAX_TEXT)
      violations.push({
        field: `labels["${key.slice(0, 80)}"]`,
        description: `has ${value.length} characters; at most ${MAX_TEXT}`,
      });
  }
  return violations;
}
