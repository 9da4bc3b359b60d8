import type { Evaluation } from '@agentforge/model';
import type { PhaseContext, PhaseMetricValue } from '@agentforge/phase-runtime/worker';
import {
  bestOf,
  chosenOf,
  type EvolutionState,
  type GenerationRecord,
  paretoFrontOf,
} from './domain/evolution.js';
import type { EvomergeConfig } from './domain/evomerge-config.js';
import type { Individual } from './domain/individual.js';
import type { Outcome } from './domain/verdict.js';
import { ContentNames } from './evaluation/content.js';
import type { MergeInputs } from './merge-inputs.js';

/** A model measured on both held-out splits, and on the tasks where there are some. */
export interface SplitEvaluations {
  readonly fitness: Evaluation;
  readonly report: Evaluation;
  readonly taskAccuracy: number | undefined;
}

/**
 * The metrics of the step.
 * @param evaluations  by subject: best, uniform average, parents
 * @param parameters   of the model that is handed on
 * @param fitnessTokens  that a whole measurement predicts
 */
export function mergeMetrics(
  evaluations: ReadonlyMap<string, SplitEvaluations>,
  parameters: number,
  best: string,
  state: EvolutionState | undefined,
  fitnessTokens: number,
): PhaseMetricValue[] {
  const metrics: PhaseMetricValue[] = [];
  const add = (name: string, value: number, unit: string, split = '', subject = '') =>
    metrics.push({ name, value, unit, split, subject });
  for (const [subject, { taskAccuracy, ...bySplit }] of evaluations) {
    if (taskAccuracy !== undefined) add('task_accuracy', taskAccuracy, '1', '', subject);
    for (const [split, { lossNats, perplexity, bitsPerByte }] of Object.entries(bySplit)) {
      add('loss', lossNats, 'nats/token', split, subject);
      add('perplexity', perplexity, '1', split, subject);
      add('bits_per_byte', bitsPerByte, 'bit/byte', split, subject);
    }
  }
  add('parameters', parameters, '1', '', best);
  if (state) {
    add('fitness', chosenOf(state).fitness ?? 0, '1', 'fitness', best);
    add('generations', state.history.length - 1, '1');
    add('individuals', state.individuals.length, '1');
    const genomes = genomesOf(state.individuals);
    const stopped = genomes.flatMap(({ measured }) => measured?.stoppedEarly ?? []);
    const saved = stopped.reduce((sum, { tokens }) => sum + 1 - tokens / fitnessTokens, 0);
    add('evaluations_reused', state.individuals.length - genomes.length, '1');
    add('stopped_early', stopped.length, '1');
    add('fitness_tokens_saved', saved / genomes.length, '1', 'fitness');
    add('diversity', state.history.at(-1)?.diversity ?? 0, '1');
    if (isMultiObjective(state)) add('pareto_front', paretoFrontOf(state).length, '1', 'fitness');
  }
  return metrics;
}

/** One individual of each genome: those that were measured. */
function genomesOf(individuals: readonly Individual[]): readonly Individual[] {
  const byId = new Map(individuals.map((one) => [one.id, one]));
  const names = new ContentNames((id) => byId.get(id) as Individual);
  return [...new Map(individuals.map((one) => [names.nameOf(one.id), one])).values()];
}

/** What the report says besides what the context and the inputs know. */
export interface ReportFacts {
  readonly outcome: Outcome;
  readonly metrics: readonly PhaseMetricValue[];
  /** Absent for the fallback. */
  readonly state: EvolutionState | undefined;
  /** Name of the parent that is handed on, when the search gained nothing. */
  readonly handedOn: string | undefined;
}

/** The report of the phase: JSON, the same bytes for the same configuration, inputs and seed. */
export function mergeReport(
  context: PhaseContext<EvomergeConfig>,
  { parents, corpus, fitness, report, config, tasks, knownTasks }: MergeInputs,
  { outcome, metrics, state, handedOn }: ReportFacts,
): Uint8Array {
  const curve = (series: string, value: (record: GenerationRecord) => number) => ({
    series,
    subject: '',
    points: (state?.history ?? []).map((record) => [record.generation, value(record)]),
  });
  const contents = {
    phase: 'evomerge',
    outcome,
    seed: String(context.seed),
    config: context.config,
    model: config,
    parents: parents.map(({ id, name, artifact }) => ({ id, name, digest: artifact.ref.digest })),
    data: {
      selected_by: {
        split: 'fitness',
        tokens: Math.min(fitness.tokens.length, context.config.fitness_tokens),
        ...(tasks ? { tasks: tasks.length } : {}),
      },
      judged_by: { split: 'report', tokens: report.tokens.length },
      ...(tasks ? { tasks_left_out: knownTasks } : {}),
      held_out_bytes_removed: corpus.removedBytes,
      held_out_13gram_overlap: corpus.overlap,
    },
    ...(handedOn === undefined ? {} : { handed_on: handedOn }),
    ...(state ? { best: chosenOf(state).id, fittest: bestOf(state).id, ended: state.ended } : {}),
    ...(state && isMultiObjective(state) ? { pareto_front: frontOf(state, tasks !== null) } : {}),
    metrics,
    curves: state
      ? [
          curve('fitness/best', ({ best }) => best),
          curve('fitness/mean', ({ mean }) => mean),
          curve('diversity', ({ diversity }) => diversity),
          ...(tasks ? [curve('task_accuracy/best', ({ taskAccuracy = 0 }) => taskAccuracy)] : []),
        ]
      : [],
    history: state?.history ?? [],
    lineage: (state?.individuals ?? []).map(({ genes: _, ...individual }) => individual),
  };
  return new TextEncoder().encode(`${JSON.stringify(contents, null, 1)}\n`);
}

function isMultiObjective({ memory }: EvolutionState): boolean {
  return memory?.kind === 'nsga2';
}

/** The trade-offs found: each is better than every other individual in something, lowest loss first. */
function frontOf(state: EvolutionState, hasTasks: boolean) {
  const chosen = chosenOf(state).id;
  return {
    objectives: ['loss', 'flop_per_token', 'parameters', ...(hasTasks ? ['task_error'] : [])],
    handed_on_rule:
      'the fittest of those with a lower loss than every parent and the uniform average on the fitness split; where there is none, the lowest loss',
    individuals: paretoFrontOf(state).map(({ id, measured, fitness, layers }) => ({
      id,
      layers,
      loss: measured?.lossNats,
      flop_per_token: measured?.flopPerToken,
      parameters: measured?.parameters,
      ...(measured?.taskAccuracy === undefined ? {} : { task_error: 1 - measured.taskAccuracy }),
      fitness,
      ...(id === chosen ? { is_chosen: true } : {}),
    })),
  };
}
