import { parameterShapes } from '@agentforge/model';
import type { SubtaskContext } from '@agentforge/phase-runtime/worker';
import { selectDevice } from '@agentforge/tensor';
import type { JsonValue } from '@bufbuild/protobuf';
import { CandidateMeter } from '../candidate-meter.js';
import type { EvomergeConfig } from '../domain/evomerge-config.js';
import type { Individual } from '../domain/individual.js';
import { shapesOf } from '../domain/layout.js';
import type { Recipe, SourceId } from '../domain/recipe.js';
import { WeightPool } from '../domain/weight-pool.js';
import { baseOf } from '../evolving.js';
import { type MergeInputs, readInputs } from '../merge-inputs.js';
import { decodeCandidate, encodeMeasured } from './candidate-message.js';
import { RecentSteps } from './recent-steps.js';

/** What a thread keeps of a step that it has helped. */
interface HelpedStep {
  readonly inputs: MergeInputs;
  readonly recipes: Map<SourceId, Recipe>;
  readonly pool: WeightPool;
}

/** Steps whose parents a thread keeps: the one it helps, and the one before. */
const steps = new RecentSteps<HelpedStep>(2);

/**
 * Measures a candidate of a step that another replica executes: makes its weights from the same parents by the same
 * recipes, so it measures the same.
 */
export async function measureSubtask(
  context: SubtaskContext<EvomergeConfig>,
  subtask: JsonValue,
): Promise<JsonValue> {
  selectDevice(context.device, { threads: context.threads });
  const { inputs, recipes, pool } = await steps.get(keyOf(context), () => open(context));
  const {
    candidate,
    recipes: closure,
    ...how
  } = decodeCandidate(subtask, new Set(inputs.parents.map(({ id }) => id)));
  for (const [name, recipe] of closure) recipes.set(name, recipe);
  const meter = new CandidateMeter(inputs, context);
  return encodeMeasured(await meter.measure(pool.get(candidate), inputs.fitness, how));
}

/** Everything that inputs and weights depend on. */
function keyOf(context: SubtaskContext<EvomergeConfig>): string {
  const { config } = context;
  const digests = ['models', 'corpus', 'tasks'].map((port) =>
    context.inputs(port).map(({ ref }) => ref.digest),
  );
  return JSON.stringify([
    digests,
    config.base,
    config.sequence_length,
    config.fitness_tasks,
    config.max_memory_mib,
  ]);
}

async function open(context: SubtaskContext<EvomergeConfig>): Promise<HelpedStep> {
  const inputs = await readInputs(context);
  const recipes = new Map<SourceId, Recipe>();
  const parents = new Map(inputs.parents.map(({ id, weights }) => [id, weights]));
  const individualOf = (id: SourceId): Individual => {
    const recipe = recipes.get(id) ?? null;
    return { id, generation: 0, origin: 'initial', recipe, layers: inputs.config.numLayers };
  };
  const pool = new WeightPool(
    parents,
    baseOf(context.config, [...parents.values()]),
    individualOf,
    shapesOf(parameterShapes(inputs.config)),
    context.config.max_memory_mib * 2 ** 20,
  );
  return { inputs, recipes, pool };
}
