import { architectureOf, countParameters, type Evaluation, encodeModelFiles } from '@agentforge/model';
import {
  MEDIA_TYPES,
  type PhaseContext,
  type PhaseOutput,
  type PhaseResult,
} from '@agentforge/phase-runtime/worker';
import { backendInfo, selectDevice } from '@agentforge/tensor';
import { CandidateMeter } from './candidate-meter.js';
import { uniformRecipe } from './domain/breeding.js';
import { chosenOf, type EvolutionState } from './domain/evolution.js';
import { evolutionTree } from './domain/evolution-tree.js';
import type { EvomergeConfig } from './domain/evomerge-config.js';
import type { Individual } from './domain/individual.js';
import { layersOf, type Weights } from './domain/layout.js';
import { recipeYaml } from './domain/recipe-yaml.js';
import { judge, OUTCOMES, type Outcome } from './domain/verdict.js';
import { SpreadEvaluator } from './evaluation/spread-evaluator.js';
import { Evolving, requireSearchable, uniformAverage } from './evolving.js';
import { mergeMetrics, mergeReport, type SplitEvaluations } from './evolving-report.js';
import { type MergeInputs, type Parent, readInputs } from './merge-inputs.js';

/** Name of the model that the phase makes. */
const BEST = 'best';

/** Name under which the uniform average is reported. */
const UNIFORM = 'uniform-average';

/** Evolves a merge, or makes the uniform average when the fallback is asked for: the work of the phase. */
export async function evolveMerge(context: PhaseContext<EvomergeConfig>): Promise<PhaseResult> {
  selectDevice(context.device, { threads: context.threads });
  const inputs = await readInputs(context, (config, models) => {
    if (context.fallback === '') requireSearchable(context.config, models, config.numLayers);
  });
  const meter = new CandidateMeter(inputs, context);
  const uniform = uniformAverage(inputs.parents.map(({ weights }) => weights));
  if (context.fallback !== '') return deliver(context, inputs, meter, { best: uniform, uniform });
  const evaluator = new SpreadEvaluator(context, inputs, meter);
  const { state, pool } = await new Evolving(context, inputs, evaluator).run();
  return deliver(context, inputs, meter, { best: pool.get(chosenOf(state).id), uniform, state });
}

interface Candidates {
  readonly best: Weights;
  readonly uniform: Weights;
  /** Absent for the fallback. */
  readonly state?: EvolutionState;
}

async function deliver(
  context: PhaseContext<EvomergeConfig>,
  inputs: MergeInputs,
  meter: CandidateMeter,
  { best, uniform, state }: Candidates,
): Promise<PhaseResult> {
  context.progress(0.95, 'measuring on the report split');
  const evaluations = await evaluateAll(inputs, meter, best, uniform);
  const lossOf = (name: string) => (evaluations.get(name) as SplitEvaluations).report.lossNats;
  const outcome: Outcome = state
    ? judge({
        best: lossOf(BEST),
        uniform: lossOf(UNIFORM),
        parents: inputs.parents.map(({ name }) => lossOf(name)),
      })
    : OUTCOMES.fallback;
  const handedOn = outcome === OUTCOMES.noGain ? bestParent(inputs, lossOf) : null;
  const model = handedOn ? handedOn.artifact.ref : await putModel(context, inputs, meter, best, outcome);
  const parameters = countParameters(meter.shapeOf(handedOn?.weights ?? best)).total;
  const fitnessTokens = Math.min(inputs.fitness.tokens.length, context.config.fitness_tokens) - 1;
  const metrics = mergeMetrics(evaluations, parameters, BEST, state, fitnessTokens);
  const bytes = mergeReport(context, inputs, { outcome, metrics, state, handedOn: handedOn?.name });
  const report = await context.putBlob(
    { name: 'evomerge-report', type: 'report', mediaType: MEDIA_TYPES.report },
    bytes,
  );
  const recipe = await context.putBlob(
    { name: 'evomerge-recipe', type: 'recipe', mediaType: MEDIA_TYPES.yaml },
    recipeOf(context, inputs, state),
  );
  const outputs: PhaseOutput[] = [
    { port: 'model', artifacts: [model] },
    { port: 'report', artifacts: [report] },
    { port: 'recipe', artifacts: [recipe] },
  ];
  if (state) {
    const label = { name: 'evomerge-tree', type: 'figure', mediaType: MEDIA_TYPES.svg };
    const tree = await context.putBlob(label, new TextEncoder().encode(evolutionTree(state)));
    outputs.push({ port: 'tree', artifacts: [tree] });
  }
  const { device, isa, threads } = backendInfo();
  return { outcome, outputs, metrics, backend: `${device}-${isa}`, threads };
}

/** The best merge, or the uniform average of the fallback, as YAML that makes it from folders named as the parents are. */
function recipeOf(
  { config }: PhaseContext<EvomergeConfig>,
  { parents, config: shape }: MergeInputs,
  state: EvolutionState | undefined,
): Uint8Array {
  const { numLayers: layers } = shape;
  const uniform: Individual = {
    id: UNIFORM,
    generation: 0,
    origin: 'uniform',
    recipe: uniformRecipe(
      parents.map(({ id }) => id),
      layers,
    ),
    layers,
  };
  const founders = parents.map(
    ({ id }): Individual => ({ id, generation: 0, origin: 'parent', recipe: null, layers }),
  );
  const individuals = new Map(
    [uniform, ...founders, ...(state?.individuals ?? [])].map((one) => [one.id, one]),
  );
  const best = state ? chosenOf(state).id : UNIFORM;
  const comment = [
    'Run with: forge merge RECIPE.yaml OUT --base-dir FOLDER, where FOLDER has the parents as',
    ...parents.map(({ name, artifact }) => `  ${name}  ${artifact.ref.digest}`),
  ];
  const yaml = recipeYaml(
    best,
    {
      parents: new Map(parents.map(({ id, name }) => [id, name])),
      individualOf: (id) => individuals.get(id) as Individual,
      base: config.base,
    },
    comment,
  );
  return new TextEncoder().encode(yaml);
}

/** Losses of best, parents and uniform average on the whole fitness and report splits, and what they solve of the tasks. */
async function evaluateAll(inputs: MergeInputs, meter: CandidateMeter, best: Weights, uniform: Weights) {
  const subjects: [string, Weights][] = [
    [BEST, best],
    [UNIFORM, uniform],
    ...inputs.parents.map(({ name, weights }): [string, Weights] => [name, weights]),
  ];
  const evaluations = new Map<string, SplitEvaluations>();
  for (const [name, weights] of subjects) {
    const [fitness, report] = [inputs.fitness, inputs.report].map((split) =>
      meter.evaluate(weights, split),
    ) as [Evaluation, Evaluation];
    evaluations.set(name, { fitness, report, taskAccuracy: await meter.taskAccuracy(weights) });
  }
  return evaluations;
}

/** The parent that the report split ranks first; the first of equals. */
function bestParent({ parents }: MergeInputs, lossOf: (name: string) => number): Parent {
  return parents.reduce((best, parent) => (lossOf(parent.name) < lossOf(best.name) ? parent : best));
}

function putModel(
  context: PhaseContext<EvomergeConfig>,
  { tokenizer }: MergeInputs,
  meter: CandidateMeter,
  weights: Weights,
  outcome: Outcome,
) {
  const config = meter.shapeOf(weights);
  const name = outcome === OUTCOMES.fallback ? UNIFORM : 'evolved';
  return context.putManifest(
    { name, type: 'model', mediaType: MEDIA_TYPES.model },
    encodeModelFiles({ config, weights }, tokenizer),
    {
      architecture: architectureOf(config),
      parameters: String(countParameters(config).total),
      layers: String(layersOf(weights)),
      phase: 'evomerge',
      outcome,
    },
  );
}
