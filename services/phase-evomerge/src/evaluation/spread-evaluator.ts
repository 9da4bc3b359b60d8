import { createHash } from 'node:crypto';
import type { PhaseContext, StepPart } from '@agentforge/phase-runtime/worker';
import type { CandidateMeter, MeasureOptions } from '../candidate-meter.js';
import type { Reference } from '../domain/early-stop.js';
import type { EvomergeConfig } from '../domain/evomerge-config.js';
import type { Measured } from '../domain/fitness.js';
import { sizeBytesOf } from '../domain/layout.js';
import type { SourceId } from '../domain/recipe.js';
import type { MergeInputs } from '../merge-inputs.js';
import { decodeMeasured, encodeCandidate, encodeMeasured } from './candidate-message.js';
import { ContentNames, type Lineage } from './content.js';
import type { Candidate, Evaluator, OnMeasured } from './evaluator.js';

/** Measures candidates here and, as subtasks, on replicas of the service that have nothing to do. */
export class SpreadEvaluator implements Evaluator {
  /** What measurements depend on besides the candidate. */
  private readonly basis: string;
  /** What was measured, by content. */
  private readonly known = new Map<SourceId, Measured>();

  constructor(
    private readonly context: PhaseContext<EvomergeConfig>,
    private readonly inputs: MergeInputs,
    private readonly meter: CandidateMeter,
  ) {
    this.basis = basisOf(context.config, inputs);
  }

  async measure(candidates: readonly Candidate[], onMeasured: OnMeasured): Promise<void> {
    if (!stopsEarly(this.context.config)) return this.measureAll(candidates, {}, onMeasured);
    // Parents first: what they lose on the first tokens tells who is hopeless.
    const [parents, others] = [true, false].map((isParent) =>
      candidates.filter(({ individual }) => (individual.recipe === null) === isParent),
    ) as [Candidate[], Candidate[]];
    await this.measureAll(parents, { notesPrefixes: true }, onMeasured);
    const [first] = others;
    if (first) await this.measureAll(others, { reference: this.bestParent(first.sourceOf) }, onMeasured);
  }

  private async measureAll(
    candidates: readonly Candidate[],
    how: MeasureOptions,
    onMeasured: OnMeasured,
  ): Promise<void> {
    const [first] = candidates;
    if (!first) return;
    const names = new ContentNames(first.sourceOf);
    const byContent = new Map<SourceId, Candidate[]>();
    for (const candidate of candidates) {
      const name = names.nameOf(candidate.individual.id);
      byContent.set(name, [...(byContent.get(name) ?? []), candidate]);
    }
    for (const [name, equals] of byContent) {
      const measured = this.known.get(name);
      if (!measured) continue;
      byContent.delete(name);
      for (const candidate of equals) await onMeasured(candidate, measured);
    }
    await this.spread([...byContent], names, how, onMeasured);
  }

  private async spread(
    contents: readonly (readonly [SourceId, readonly Candidate[]])[],
    names: ContentNames,
    how: MeasureOptions,
    onMeasured: OnMeasured,
  ): Promise<void> {
    const parts = contents.map(([name, [candidate]]): StepPart => {
      const recipes = names.closureOf((candidate as Candidate).individual.id);
      const { notesPrefixes = false, reference } = how;
      const content = encodeCandidate({ candidate: name, recipes, notesPrefixes, reference });
      return { content, key: JSON.stringify([name, this.basis, how]) };
    });
    await this.context.spread(parts, {
      memoryBytes: this.memoryBytes(),
      compute: async (_, index) => {
        const [, [candidate]] = contents[index] as readonly [SourceId, readonly [Candidate]];
        return encodeMeasured(await this.meter.measure(candidate.weights(), this.inputs.fitness, how));
      },
      accept: async (index, answer) => {
        const measured = decodeMeasured(answer);
        if (!measured) return false;
        const [name, equals] = contents[index] as (typeof contents)[number];
        this.known.set(name, measured);
        for (const candidate of equals) await onMeasured(candidate, measured);
        return true;
      },
    });
  }

  /** The parent with the lowest loss, the first of equals; undefined when none has a loss that is a number. */
  private bestParent(sourceOf: Lineage): Reference | undefined {
    let best: Reference | undefined;
    for (const { id } of this.inputs.parents) {
      const { measured } = sourceOf(id);
      if (!measured || !Number.isFinite(measured.lossNats)) continue;
      const { stoppedEarly: _, prefixes = [], ...rest } = measured;
      if (!best || rest.lossNats < best.lossNats) best = { ...rest, prefixes };
    }
    return best;
  }

  /**
   * Parents, base and model; two generations of weights as far as they may be kept; the logits of a batch, twice. Tasks may
   * take all positions, and answers to them are generated with a cache of keys and values.
   */
  private memoryBytes(): number {
    const { population, max_memory_mib, batch_size, sequence_length } = this.context.config;
    const { parents, config, tasks } = this.inputs;
    const model = Math.max(...parents.map(({ weights }) => sizeBytesOf(weights)));
    const kept = Math.min(2 * population * model, max_memory_mib * 2 ** 20);
    const { contextLength, vocabSize, numLayers, numKvHeads, headDim } = config;
    const length = tasks ? contextLength : sequence_length;
    const perToken = 8 * vocabSize + (tasks ? 8 * numLayers * numKvHeads * headDim : 0);
    return (parents.length + 3) * model + kept + batch_size * length * perToken;
  }
}

/** Whether a loss alone can make a candidate hopeless: not where others of its sides may make up for it. */
function stopsEarly({ early_stop_margin: margin, fitness_weights, strategy }: EvomergeConfig): boolean {
  return margin > 0 && fitness_weights.perplexity > 0 && strategy !== 'nsga2';
}

/** The parents, the tokens and tasks that are looked at, and how: all that a measurement of a recipe depends on. */
function basisOf(config: EvomergeConfig, { parents, fitness, tasks }: MergeInputs): string {
  const { base, fitness_tokens, sequence_length, batch_size, early_stop_margin } = config;
  const { buffer, byteOffset, byteLength } = fitness.tokens.subarray(0, fitness_tokens);
  const tokens = createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');
  const digests = parents.map(({ artifact }) => artifact.ref.digest);
  return JSON.stringify([
    digests,
    base,
    tokens,
    fitness_tokens,
    sequence_length,
    batch_size,
    early_stop_margin,
    ...(tasks ? [createHash('sha256').update(JSON.stringify(tasks)).digest('hex')] : []),
  ]);
}
