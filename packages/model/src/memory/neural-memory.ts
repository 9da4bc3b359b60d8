import {
  allFinite,
  autocast,
  concat,
  gatherRows,
  Linear,
  Module,
  mulScalar,
  ones,
  parameter,
  permute,
  reshape,
  rmsNorm,
  sigmoid,
  silu,
  slice,
  type Tensor,
  tensor,
  zeros,
} from '@agentforge/tensor';
import { type MemoryConfig, memoryShapes } from '../config/memory-config.js';
import type { InitializerOf } from '../llama/initialize.js';
import { MemoryDivergedError } from './memory.errors.js';
import { endOfChunk, learnChunk, type MemoryGates, type MemoryWeights, recall } from './memory-chunk.js';

/** What a memory has learned and the tokens of a chunk that is not full: where it goes on. */
export interface MemoryState extends MemoryWeights {
  /** f32 [N, p, d], p < chunkLength. */
  readonly keys: Tensor;
  readonly values: Tensor;
  readonly gates: MemoryGates;
}

/** The tensors of a state. */
export function tensorsOf({ weights, momentum, keys, values, gates }: MemoryState): Tensor[] {
  return [...weights, ...momentum, keys, values, ...Object.values(gates)];
}

/** First biases of the gates: little is forgotten, surprise goes on, steps are half the largest. */
const GATE_BIAS = { decay: -4, momentum: 1, step: 0 } as const;
/** Gates of a memory, in the order of their projection. */
export const GATES = Object.keys(GATE_BIAS) as (keyof MemoryGates)[];

/** One layer of the perceptron as every sequence begins with it. */
class FirstWeights extends Module {
  readonly weight: Tensor;

  /** @param weight  f32 [heads, out, in] */
  constructor(weight: Tensor) {
    super();
    this.weight = parameter(weight);
  }
}

/**
 * Long-term memory: a perceptron per head that learns, while it reads a sequence, to give values for keys, and is asked
 * with queries. Its first weights, projections and gates are trained like everything else; what it learns from a
 * sequence is its state, in f32 whatever the precision of products is.
 * Without convolution; q and k pass silu and have length 1.
 * @see Behrouz et al. 2024, arXiv:2501.00663, section 3
 */
export class NeuralMemory extends Module {
  readonly q_proj: Linear;
  readonly k_proj: Linear;
  readonly v_proj: Linear;
  readonly gate_proj: Linear;
  readonly layers: readonly FirstWeights[];
  private readonly headDim: number;

  /**
   * @param inputWidth  d
   * @param width       w, of what is read; a multiple of the heads
   */
  constructor(
    private readonly config: MemoryConfig,
    inputWidth: number,
    private readonly width: number,
    private readonly prefix: string,
    initializerOf: InitializerOf,
  ) {
    super();
    const { heads } = config;
    const projection = (name: string): Linear =>
      new Linear(inputWidth, width, { init: initializerOf(`${prefix}.${name}.weight`) });
    this.headDim = width / heads;
    this.q_proj = projection('q_proj');
    this.k_proj = projection('k_proj');
    this.v_proj = projection('v_proj');
    this.gate_proj = new Linear(inputWidth, GATES.length * heads, {
      init: initializerOf(`${prefix}.gate_proj.weight`),
      bias: parameter(tensor(GATES.flatMap((gate) => Array<number>(heads).fill(GATE_BIAS[gate])))),
    });
    this.layers = memoryShapes(config, width).map(
      (shape, layer) => new FirstWeights(initializerOf(`${prefix}.layers.${layer}.weight`)(shape)),
    );
  }

  /**
   * Learns the tokens and reads each with its own query: M after the token, asked with q.
   * @param x       f32 [B, T, d]
   * @param before  where an earlier segment ended; default: the first weights, nothing learned
   * @returns       what is read f32 [B, T, w], and where the segment ends; a gradient does not go back through `before`
   * @throws MemoryDivergedError  FAILED_PRECONDITION: what is read is infinite or not a number
   */
  forward(x: Tensor, before?: MemoryState): { readonly read: Tensor; readonly after: MemoryState } {
    const [batch = 0, length = 0] = x.shape;
    const { chunkLength, clipNorm } = this.config;
    const queries = unit(silu(this.split(this.q_proj.forward(x))));
    const start = before ?? this.beginning(batch);
    const old = start.keys.shape[1] ?? 0;
    const joined = (past: Tensor, now: Tensor): Tensor => (old === 0 ? now : concat([past, now], 1));
    const keys = joined(start.keys, unit(silu(this.split(this.k_proj.forward(x)))));
    const values = joined(start.values, this.split(this.v_proj.forward(x)));
    const gates = mapGates(this.gatesOf(x), (gate, name) => joined(start.gates[name], gate));
    const reads: Tensor[] = [];
    let weights: MemoryWeights = start;
    let from = 0;
    for (; from < old + length; from += chunkLength) {
      const to = Math.min(from + chunkLength, old + length);
      const part = (tokens: Tensor): Tensor => slice(tokens, 1, from, to);
      const chunk = exactly(() =>
        learnChunk(weights, part(keys), part(values), mapGates(gates, part), clipNorm),
      );
      const first = Math.max(from, old);
      reads.push(exactly(() => recall(chunk, slice(queries, 1, first - old, to - old), first - from)));
      if (to - from < chunkLength) break;
      weights = exactly(() => endOfChunk(chunk));
    }
    const rest = (tokens: Tensor): Tensor => slice(tokens, 1, from, old + length);
    const { momentum } = weights;
    const read = concat(reads, 1);
    if (!allFinite([read])) throw new MemoryDivergedError(this.prefix, this.config);
    return {
      read: this.join(read, batch),
      after: {
        ...{ weights: weights.weights, momentum },
        keys: rest(keys),
        values: rest(values),
        gates: mapGates(gates, rest),
      },
    };
  }

  /**
   * Changes how large the steps are before training says otherwise: a gate that was at half the largest step is at `share` of it.
   * @param share  (0, 1); 0.5 changes nothing
   */
  shiftSteps(share: number): void {
    const { bias } = this.gate_proj;
    if (bias === null) return;
    const values = bias.toFloat32Array();
    const first = GATES.indexOf('step') * this.config.heads;
    for (let i = first; i < first + this.config.heads; i++)
      values[i] = (values[i] ?? 0) + Math.log(share / (1 - share));
    bias.write(values);
  }

  /** Decay, momentum and step of each token, f32 [N, T, 1]. */
  private gatesOf(x: Tensor): MemoryGates {
    const [batch = 0, length = 0] = x.shape;
    const { heads, maxStep } = this.config;
    const all = sigmoid(reshape(this.gate_proj.forward(x), [batch, length, GATES.length, heads]));
    const byGate = permute(all, [2, 0, 3, 1]);
    const gate = (name: keyof MemoryGates): Tensor => {
      const index = GATES.indexOf(name);
      return reshape(slice(byGate, 0, index, index + 1), [batch * heads, length, 1]);
    };
    return { decay: gate('decay'), momentum: gate('momentum'), step: mulScalar(gate('step'), maxStep) };
  }

  /** The memories of a batch before its first token. */
  private beginning(batch: number): MemoryState {
    const { heads } = this.config;
    const count = batch * heads;
    const index = tensor(Int32Array.from({ length: count }, (_, n) => n % heads));
    const none = (width: number): Tensor => zeros([count, 0, width]);
    return {
      weights: this.layers.map(({ weight }) => gatherRows(weight, index)),
      momentum: this.layers.map(({ weight }) => zeros([count, ...weight.shape.slice(1)])),
      keys: none(this.headDim),
      values: none(this.headDim),
      gates: { decay: none(1), momentum: none(1), step: none(1) },
    };
  }

  /** f32 [B, T, w] to [N, T, w / heads]; the heads of a row are neighbours. */
  private split(x: Tensor): Tensor {
    const [batch = 0, length = 0] = x.shape;
    const { heads } = this.config;
    const apart = permute(reshape(x, [batch, length, heads, this.headDim]), [0, 2, 1, 3]);
    return reshape(apart, [batch * heads, length, this.headDim]);
  }

  /** The other way round. */
  private join(x: Tensor, batch: number): Tensor {
    const { heads } = this.config;
    const [, length = 0] = x.shape;
    const apart = permute(reshape(x, [batch, heads, length, this.headDim]), [0, 2, 1, 3]);
    return reshape(apart, [batch, length, this.width]);
  }
}

/** What a memory learns goes from token to token: rounded products would add up. The projections before it may be rounded. */
const exactly = <T>(fn: () => T): T => autocast('f32', fn);

/** Vectors of length 1. */
function unit(x: Tensor): Tensor {
  const width = x.shape.at(-1) ?? 1;
  return mulScalar(rmsNorm(x, ones([width]), 1e-6 / width), 1 / Math.sqrt(width));
}

function mapGates(
  gates: MemoryGates,
  change: (gate: Tensor, name: keyof MemoryGates) => Tensor,
): MemoryGates {
  return {
    decay: change(gates.decay, 'decay'),
    momentum: change(gates.momentum, 'momentum'),
    step: change(gates.step, 'step'),
  };
}
