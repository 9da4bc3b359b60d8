import {
  type Amounts,
  dominantShare,
  fits,
  isSomething,
  minus,
  missingOf,
  NOTHING,
  plus,
  SHARED_KINDS,
} from './resources.js';

/** Resources of one host. */
export interface PoolFacts {
  readonly name: string;
  readonly total: Amounts;
  /** Phases whose workers run there. */
  readonly phases: ReadonlySet<string>;
}

/** The right to use resources of a pool, or only a place in a project. */
export interface Grant {
  /** The attempt's. */
  readonly id: string;
  readonly run: string;
  readonly project: string;
  /** Empty for a place in the project alone. */
  readonly pool: string;
  readonly amounts: Amounts;
  /** Accelerators within the pool, ascending. */
  readonly gpuIndices: readonly number[];
}

/** A step that waits to be admitted. */
export interface Request {
  /** The attempt's. */
  readonly id: string;
  readonly run: string;
  readonly project: string;
  readonly phase: string;
  /** Of its run: higher ones are admitted first. */
  readonly priority: number;
  /** When it began to wait. */
  readonly sinceMs: number;
  readonly amounts: Amounts;
}

/** Limits of a project and what it uses; a limit of 0 is none. */
export interface ProjectFacts {
  readonly maxRunningRuns: number;
  readonly maxRunningSteps: number;
  /** Share of contested resources relative to other projects, above 0. */
  readonly weight: number;
  /** Runs that have started and not ended, with those of grants. */
  readonly runs: ReadonlySet<string>;
  /** Steps in progress, with those of grants. */
  readonly steps: number;
}

/** Everything that a plan depends on. */
export interface Situation {
  readonly pools: readonly PoolFacts[];
  readonly grants: readonly Grant[];
  readonly requests: readonly Request[];
  projectOf(project: string): ProjectFacts;
  readonly nowMs: number;
  /** How long a request that is the next of the fairest project may be passed by smaller ones. */
  readonly patienceMs: number;
}

/** Why a request is not granted. */
export type Refusal =
  | { readonly kind: 'project-runs'; readonly limit: number; readonly position: number }
  | { readonly kind: 'project-steps'; readonly limit: number; readonly position: number }
  /** No pool serves the phase. */
  | { readonly kind: 'no-pool'; readonly position: number }
  | {
      readonly kind: 'resources';
      readonly position: number;
      /** The pool that is nearest to having it, and what it lacks. */
      readonly pool: string;
      readonly missing: Amounts;
      /** Whether that pool would lack it even if nothing were leased. */
      readonly isTooLarge: boolean;
    };

/** What is granted, and why the others are not. */
export interface Plan {
  readonly grants: readonly Grant[];
  readonly refusals: ReadonlyMap<string, Refusal>;
}

/**
 * Who gets what. Order: priority; within it the project whose dominant share of all pools, divided by its weight, is
 * the smallest (progressive filling); within a project, and between equal projects, who has waited longest.
 *
 * What does not fit is passed by, so nothing that is free lies idle while somebody could use it. A request that has
 * been passed by for longer than its patience has what is free in its pool set aside for it, so that a large request is
 * not starved by small ones of its priority. Pure; O(requests × (projects + pools)).
 * @see Ghodsi et al. 2011, Dominant Resource Fairness, NSDI, algorithm 1
 */
export function plan(situation: Situation): Plan {
  const round = new Round(situation);
  const byPriority = new Map<number, Request[]>();
  for (const request of situation.requests) {
    const same = byPriority.get(request.priority);
    if (same) same.push(request);
    else byPriority.set(request.priority, [request]);
  }
  const priorities = [...byPriority.keys()].sort((a, b) => b - a);
  for (const priority of priorities) round.admit(byPriority.get(priority) ?? []);
  return { grants: round.granted, refusals: round.refusals };
}

/** Who has waited longer comes first; the id makes the order total. */
export const byAge = (a: Request, b: Request): number =>
  a.sinceMs - b.sinceMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

interface PoolState {
  readonly facts: PoolFacts;
  free: Amounts;
  readonly freeGpus: Set<number>;
}

interface ProjectState {
  readonly facts: ProjectFacts;
  held: Amounts;
  readonly runs: Set<string>;
  steps: number;
  waiting: number;
}

class Round {
  readonly granted: Grant[] = [];
  readonly refusals = new Map<string, Refusal>();
  readonly #pools: readonly PoolState[];
  readonly #projects = new Map<string, ProjectState>();
  readonly #total: Amounts;
  #position = 0;

  constructor(private readonly situation: Situation) {
    this.#pools = situation.pools.map(stateOf);
    this.#total = situation.pools.map(({ total }) => total).reduce(plus, NOTHING);
    const pools = new Map(this.#pools.map((pool) => [pool.facts.name, pool]));
    for (const grant of situation.grants) {
      const project = this.#project(grant.project);
      project.held = plus(project.held, grant.amounts);
      const pool = pools.get(grant.pool);
      if (pool) take(pool, grant);
    }
  }

  /** Serves the requests of one priority. */
  admit(requests: readonly Request[]): void {
    const queues = new Map<string, Request[]>();
    for (const request of [...requests].sort(byAge).reverse()) {
      const queue = queues.get(request.project);
      if (queue) queue.push(request);
      else queues.set(request.project, [request]);
    }
    // the oldest of each queue is its last element
    for (let name = this.#fairest(queues); name !== undefined; name = this.#fairest(queues)) {
      const queue = queues.get(name) ?? [];
      const request = queue.pop();
      if (request) this.#serve(request);
      if (queue.length === 0) queues.delete(name);
    }
  }

  /** The project whose turn it is. */
  #fairest(queues: ReadonlyMap<string, readonly Request[]>): string | undefined {
    let best: { readonly name: string; readonly share: number; readonly head: Request } | undefined;
    for (const [name, queue] of queues) {
      const head = queue.at(-1);
      if (head === undefined) continue;
      const { held, facts } = this.#project(name);
      const share = dominantShare(held, this.#total) / facts.weight;
      if (!best || share < best.share || (share === best.share && byAge(head, best.head) < 0))
        best = { name, share, head };
    }
    return best?.name;
  }

  #serve(request: Request): void {
    const project = this.#project(request.project);
    const limit = limitOf(project, request);
    if (limit) {
      project.waiting++;
      this.refusals.set(request.id, { ...limit, position: project.waiting });
      return;
    }
    const pool = isSomething(request.amounts) ? this.#poolFor(request) : undefined;
    if (pool === undefined && isSomething(request.amounts)) {
      this.#refuse(request);
      return;
    }
    const { id, run, amounts } = request;
    const gpuIndices = pool ? firstOf(pool.freeGpus, gpusOf(amounts)) : [];
    const grant: Grant = {
      id,
      run,
      project: request.project,
      pool: pool?.facts.name ?? '',
      amounts: { ...amounts, gpus: gpusOf(amounts) },
      gpuIndices,
    };
    if (pool) take(pool, grant);
    project.held = plus(project.held, grant.amounts);
    project.runs.add(run);
    project.steps++;
    this.granted.push(grant);
  }

  /** The pool in which the least is left over: large holes stay for large requests. */
  #poolFor({ amounts, phase }: Request): PoolState | undefined {
    let best: { readonly pool: PoolState; readonly left: number } | undefined;
    for (const pool of this.#pools) {
      if (!pool.facts.phases.has(phase) || !fits(amounts, pool.free)) continue;
      const left = dominantShare(minus(pool.free, amounts), pool.facts.total);
      if (!best || left < best.left) best = { pool, left };
    }
    return best?.pool;
  }

  #refuse(request: Request): void {
    const position = ++this.#position;
    const serving = this.#pools.filter(({ facts }) => facts.phases.has(request.phase));
    const able = serving.filter(({ facts }) => fits(request.amounts, facts.total));
    const isTooLarge = able.length === 0;
    let nearest: { readonly pool: PoolState; readonly missing: Amounts; readonly lack: number } | undefined;
    for (const pool of isTooLarge ? serving : able) {
      const missing = missingOf(request.amounts, isTooLarge ? pool.facts.total : pool.free);
      const lack = lackOf(missing, request.amounts);
      if (!nearest || lack < nearest.lack) nearest = { pool, missing, lack };
    }
    if (nearest === undefined) {
      this.refusals.set(request.id, { kind: 'no-pool', position });
      return;
    }
    const { pool, missing } = nearest;
    this.refusals.set(request.id, {
      kind: 'resources',
      position,
      pool: pool.facts.name,
      missing,
      isTooLarge,
    });
    const isOverdue = this.situation.nowMs - request.sinceMs > this.situation.patienceMs;
    if (isOverdue && !isTooLarge) setAside(pool, request.amounts);
  }

  #project(name: string): ProjectState {
    let project = this.#projects.get(name);
    if (project === undefined) {
      const facts = this.situation.projectOf(name);
      project = { facts, held: NOTHING, runs: new Set(facts.runs), steps: facts.steps, waiting: 0 };
      this.#projects.set(name, project);
    }
    return project;
  }
}

/** Accelerators that a request takes: asking for memory on one is asking for one. */
const gpusOf = ({ gpus, gpuMemoryBytes }: Amounts): number => Math.max(gpus, gpuMemoryBytes > 0 ? 1 : 0);

function limitOf({ facts, runs, steps }: ProjectState, { run }: Request) {
  const { maxRunningRuns, maxRunningSteps } = facts;
  if (maxRunningRuns > 0 && !runs.has(run) && runs.size >= maxRunningRuns)
    return { kind: 'project-runs' as const, limit: maxRunningRuns };
  if (maxRunningSteps > 0 && steps >= maxRunningSteps)
    return { kind: 'project-steps' as const, limit: maxRunningSteps };
  return undefined;
}

const stateOf = (facts: PoolFacts): PoolState => ({
  facts,
  free: facts.total,
  freeGpus: new Set(Array.from({ length: facts.total.gpus }, (_, i) => i)),
});

function take(pool: PoolState, { amounts, gpuIndices }: Grant): void {
  pool.free = minus(pool.free, amounts);
  for (const index of gpuIndices) pool.freeGpus.delete(index);
}

/** Keeps what is free for a request that cannot be granted yet; what it does not ask for stays free. */
function setAside(pool: PoolState, asked: Amounts): void {
  pool.free = minus(pool.free, { ...asked, gpus: gpusOf(asked) });
}

function firstOf(indices: ReadonlySet<number>, count: number): number[] {
  return [...indices].sort((a, b) => a - b).slice(0, count);
}

/** How much of what was asked for is missing, by the kind that lacks most. */
function lackOf(missing: Amounts, asked: Amounts): number {
  let lack = missing.gpuMemoryBytes > 0 ? 1 : 0;
  for (const kind of SHARED_KINDS) {
    const wanted = Math.max(asked[kind], missing[kind]);
    if (wanted > 0) lack = Math.max(lack, missing[kind] / wanted);
  }
  return lack;
}
