import type { FieldViolation } from '@agentforge/errors';
import {
  BitLinear,
  LoraLinear,
  type Philox,
  type PhiloxState,
  type Tensor,
  uniformInit,
} from '@agentforge/tensor';
import type { LlamaModel } from '../llama/llama-model.js';
import { InvalidAdapterError } from './adapters.errors.js';
import { PROJECTIONS, type Projection, replaceProjections } from './projections.js';

/** Shape of a LoRA adapter. */
export interface LoraConfig {
  /** Rank of each difference, 1 … 1024. */
  readonly rank: number;
  /** Differences count alpha / rank times. Default 2 · rank. */
  readonly alpha?: number;
  /** Projections that get one. Default all of a block. */
  readonly targets?: readonly Projection[];
  /** Share of the elements of an adapter's input that training zeroes, in [0, 1). Default 0. */
  readonly dropout?: number;
}

const MAX_RANK = 1024;

/** The LoRA layers of a model. The layers belong to the model; this is the handle on all of them. */
export class LoraAdapter {
  readonly rank: number;
  readonly alpha: number;
  readonly targets: readonly Projection[];
  readonly dropout: number;
  /** By the full name of the layer, in the order of the model. */
  readonly layers: ReadonlyMap<string, LoraLinear>;

  /** Use `addLora` or `loadLora`. */
  constructor(
    { rank, alpha = 2 * rank, targets = PROJECTIONS, dropout = 0 }: LoraConfig,
    layers: ReadonlyMap<string, LoraLinear>,
  ) {
    this.rank = rank;
    this.alpha = alpha;
    this.targets = targets;
    this.dropout = dropout;
    this.layers = layers;
  }

  /** The trained matrices, by full name: `model.layers.0.self_attn.q_proj.lora_A.weight`. */
  namedParameters(): Map<string, Tensor> {
    const named = new Map<string, Tensor>();
    for (const [name, layer] of this.layers) {
      named.set(`${name}.lora_A.weight`, layer.lora_A.weight);
      named.set(`${name}.lora_B.weight`, layer.lora_B.weight);
    }
    return named;
  }

  /** Number of trained values. */
  parameterCount(): number {
    return [...this.namedParameters().values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Where the dropout of every layer stands, by the layer's name: belongs into a checkpoint. Empty without dropout. */
  dropoutStates(): Map<string, PhiloxState> {
    const states = [...this.layers].map(([name, { dropoutState }]) => [name, dropoutState] as const);
    return new Map(states.flatMap(([name, state]) => (state === null ? [] : [[name, state] as const])));
  }

  /**
   * Goes on with the masks that came next when the states were taken; changes nothing when they do not fit.
   * @throws InvalidAdapterError  INVALID_ARGUMENT: every layer whose state is missing, and every state without a layer
   */
  restoreDropout(states: ReadonlyMap<string, PhiloxState>): void {
    const expected = this.dropoutStates();
    const violations = [
      ...[...expected.keys()].filter((name) => !states.has(name)).map((name) => [name, 'has no state']),
      ...[...states.keys()].filter((name) => !expected.has(name)).map((name) => [name, 'has no dropout']),
    ].map(([field = '', description = '']) => ({ field, description }));
    if (violations.length > 0) throw new InvalidAdapterError('the states of dropout', violations);
    for (const [name, state] of states) (this.layers.get(name) as LoraLinear).dropoutState = state;
  }

  /** Adds the differences to the weights, so that the model costs what it did before; a copy of those is kept. */
  merge(): void {
    for (const layer of this.layers.values()) layer.merge();
  }

  /** Puts the weights back to the bit. */
  unmerge(): void {
    for (const layer of this.layers.values()) layer.unmerge();
  }

  /** Runs `fn` on the model as it was without the adapter, to the bit; not while merged. */
  withoutAdapter<T>(fn: () => T): T {
    const layers = [...this.layers.values()].filter(({ isEnabled }) => isEnabled);
    for (const layer of layers) layer.isEnabled = false;
    try {
      return fn();
    } finally {
      for (const layer of layers) layer.isEnabled = true;
    }
  }
}

/**
 * Adds a low-rank difference to projections of a model and freezes everything else: `decayGroups(model, …)` and
 * `trainStep` then train the adapter only. B is zero, so nothing changes at first.
 * A is uniform in ±1/√I, as PEFT has it (Kaiming with a = √5).
 * @param rng  every matrix, and the dropout of every layer, draws from a stream named after it; not advanced
 * @throws InvalidAdapterError  INVALID_ARGUMENT: every setting out of range; a model that has an adapter already, or
 *                              ternary layers in its place
 */
export function addLora(model: LlamaModel, config: LoraConfig, rng: Philox): LoraAdapter {
  return attachLora(model, config, rng, (name, inFeatures) => {
    const bound = 1 / Math.sqrt(inFeatures);
    return uniformInit(rng.stream(`${name}.lora_A.weight`), -bound, bound);
  });
}

/** `addLora` with given first values; by default zeros, to be written next. */
export function attachLora(
  model: LlamaModel,
  config: LoraConfig,
  rng: Philox,
  initA?: (name: string, inFeatures: number) => ReturnType<typeof uniformInit>,
): LoraAdapter {
  checkConfig(model, config);
  const { rank, alpha = 2 * rank, targets = PROJECTIONS, dropout: probability = 0 } = config;
  model.setTrainable(false);
  const layers = replaceProjections(model, targets, (name, layer) => {
    const inFeatures = layer.weight.shape[1] ?? 1;
    const dropout = { probability, stream: rng.stream(`${name}.lora_dropout`) };
    return new LoraLinear(layer, {
      rank,
      alpha,
      dropout,
      ...(initA ? { initA: initA(name, inFeatures) } : {}),
    });
  });
  return new LoraAdapter(config, layers);
}

function checkConfig(
  model: LlamaModel,
  { rank, alpha = 1, targets = PROJECTIONS, dropout = 0 }: LoraConfig,
): void {
  const violations: FieldViolation[] = [];
  if (!Number.isInteger(rank) || rank < 1 || rank > MAX_RANK) {
    violations.push({
      field: 'rank',
      description: `is ${rank}; must be a whole number from 1 to ${MAX_RANK}`,
    });
  }
  if (!(alpha > 0 && alpha < Infinity)) {
    violations.push({ field: 'alpha', description: `is ${alpha}; must be above 0 and finite` });
  }
  if (!(dropout >= 0 && dropout < 1)) {
    violations.push({ field: 'dropout', description: `is ${dropout}; must be from 0 to below 1` });
  }
  const unknown = targets.filter((target) => !PROJECTIONS.includes(target));
  if (targets.length === 0 || unknown.length > 0) {
    const what = unknown.length > 0 ? `has ${unknown.join(', ')}` : 'is empty';
    violations.push({ field: 'targets', description: `${what}; may hold ${PROJECTIONS.join(', ')}` });
  }
  const hasOne = [...model.namedParameters().keys()].some((name) => name.includes('.lora_A.'));
  const ternary = [...model.namedModules()].find(
    ([name, module]) => module instanceof BitLinear && targets.some((target) => name.endsWith(`.${target}`)),
  );
  if (ternary !== undefined) {
    const description = `has ternary layers, such as ${ternary[0]}: an adapter would compute with their full weights`;
    violations.push({ field: 'model', description });
  }
  if (hasOne) violations.push({ field: 'model', description: 'has an adapter already; remove it first' });
  if (violations.length > 0) throw new InvalidAdapterError('LoRA', violations);
}

/**
 * Takes an adapter out of its model, which trains again as a whole.
 * @param keep  whether the differences stay, added to the weights; default false: the weights are as they were
 */
export function removeLora(model: LlamaModel, adapter: LoraAdapter, { keep = false } = {}): void {
  for (const layer of adapter.layers.values()) {
    if (keep) layer.merge();
    else layer.unmerge();
  }
  replaceProjections(model, adapter.targets, (_, layer) =>
    layer instanceof LoraLinear ? layer.release() : layer,
  );
  model.setTrainable(true);
}
