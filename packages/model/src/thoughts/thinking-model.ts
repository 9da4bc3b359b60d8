import type { FieldViolation } from '@agentforge/errors';
import {
  concat,
  crossEntropy,
  embedding,
  full,
  gatherRows,
  linear,
  Module,
  type Philox,
  parameter,
  reshape,
  slice,
  type Tensor,
  tensor,
} from '@agentforge/tensor';
import type { ModelConfig } from '../config/model-config.js';
import type { LayerCache } from '../llama/kv-cache.js';
import type { LlamaModel } from '../llama/llama-model.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { diagonalAttention } from './diagonal-attention.js';
import { MixingHead, mixLogits } from './mixing-head.js';
import { blocksOf, shifted, type ThoughtLayout } from './thought-layout.js';
import { InvalidThinkingError } from './thoughts.errors.js';

/** Rows of `thought_tokens`. They are no ids of the vocabulary, so that no prediction can contain them. */
export const THOUGHT_MARKS = { start: 0, end: 1, pause: 2 } as const;

/** Text whose embedding the marks start with. @see Zelikman et al. 2024, arXiv:2403.09629 §4.2.1 */
const MARK_TEXT = '---';

/** What was predicted after thoughts, N = R · ahead · T predictions in the order of the layout: row, distance, origin. */
export interface Talk {
  /** Logits without thoughts [R · T, V]. */
  readonly plain: Tensor;
  /** Logits after the thoughts alone [N, V]. */
  readonly thought: Tensor;
  /** The mixture of both [N, V]. */
  readonly mixed: Tensor;
  /** Weight of the plain prediction [N, 1]. */
  readonly weight: Tensor;
  /** Logits that each token of the thoughts was drawn from [R · n · T, V]: row, place in the thought, origin; null for pauses. */
  readonly policy: Tensor | null;
}

/** What a model has that thoughts cannot do with: they need attention to everything before them. */
export function unthinkable(config: ModelConfig): FieldViolation[] {
  return (['memory', 'slidingWindow', 'recursion'] as const)
    .filter((field) => config[field] !== undefined)
    .map((field) => ({ field, description: 'is not possible for a model that thinks; use a plain llama' }));
}

/**
 * A Llama that can think between two tokens: three embeddings of its own (start, end, pause) and a mixing head. The Llama
 * in it stays what it is: without thoughts it is the same function.
 */
export class ThinkingModel extends Module {
  readonly llama: LlamaModel;
  /** [3, d], rows as in THOUGHT_MARKS. */
  readonly thought_tokens: Tensor;
  readonly mixing_head: MixingHead;

  /**
   * Takes the model over: `dispose` frees it too.
   * @throws InvalidThinkingError  INVALID_ARGUMENT: thoughts need attention to everything before them
   */
  constructor(llama: LlamaModel, marks: Float32Array, head: MixingHead) {
    super();
    const violations = unthinkable(llama.config);
    if (violations.length > 0) throw new InvalidThinkingError(violations);
    this.llama = llama;
    this.thought_tokens = parameter(tensor(marks, [3, llama.config.hiddenSize]));
    this.mixing_head = head;
  }

  /**
   * A model that has not thought yet: all marks are the mean embedding of "---".
   * @param rng  not advanced
   */
  static begin(llama: LlamaModel, tokenizer: Tokenizer, rng: Philox): ThinkingModel {
    const { hiddenSize: d } = llama.config;
    const table = llama.model.embed_tokens.weight.toFloat32Array();
    const ids = tokenizer.encode(MARK_TEXT);
    const mark = Float32Array.from({ length: d }, (_, i) => {
      let sum = 0;
      for (const id of ids) sum += table[id * d + i] as number;
      return sum / ids.length;
    });
    const marks = new Float32Array(3 * d);
    for (let row = 0; row < 3; row++) marks.set(mark, row * d);
    return new ThinkingModel(llama, marks, new MixingHead(d, rng.stream('mixing_head')));
  }

  /** Embeddings of token ids [rows, columns] -> [rows, columns, d]. */
  embed(ids: Int32Array, rows: number): Tensor {
    return this.llama.model.embed_tokens.forward(tensor(ids, [rows, ids.length / rows], { dtype: 'i32' }));
  }

  /** One of THOUGHT_MARKS everywhere: [rows, columns, d]. */
  mark(mark: number, rows: number, columns: number): Tensor {
    return embedding(this.thought_tokens, full([rows, columns], mark, { dtype: 'i32' }));
  }

  /**
   * All blocks and the final norm.
   * @param x          [R, S, d]
   * @param attention  of each layer
   * @returns          hidden states [R, S, d]
   */
  hidden(x: Tensor, attention: (layer: number) => LayerCache): Tensor {
    const { layers, norm } = this.llama.model;
    let h = x;
    layers.forEach((block, layer) => {
      h = block.forward(h, attention(layer));
    });
    return norm.forward(h);
  }

  /** Next-token logits of hidden states [..., d] -> [..., V]. */
  logits(hidden: Tensor): Tensor {
    const { lm_head: head, model } = this.llama;
    return head === null ? linear(hidden, model.embed_tokens.weight) : head.forward(hidden);
  }

  /**
   * Thinks given thoughts after every token of every row at once, and predicts what follows each.
   * @param tokens    ids [R, T]
   * @param thoughts  ids [R, n, T]; null for n pauses, the control that has as much computation and nothing to say
   */
  talk(tokens: Int32Array, thoughts: Int32Array | null, layout: ThoughtLayout): Talk {
    const { rows, length, thoughtLength: n } = layout;
    const blocks = blocksOf(layout);
    const attention = diagonalAttention(length, blocks);
    const h = this.hidden(this.arrange(tokens, thoughts, layout), () => attention);
    const d = this.llama.config.hiddenSize;
    const part = (first: number, end: number): Tensor =>
      reshape(slice(h, 1, first * length, end * length), [rows * (end - first) * length, d]);
    const plainHidden = part(0, 1);
    const talkHidden = part(n + 2, blocks);
    const at = tensor(plainRows(layout));
    const weight = this.mixing_head.forward(gatherRows(plainHidden, at), talkHidden);
    const [plain, thought] = [this.logits(plainHidden), this.logits(talkHidden)];
    const mixed = mixLogits(gatherRows(plain, at), thought, weight);
    const policy = thoughts === null ? null : this.logits(part(1, n + 1));
    return { plain, thought, mixed, weight, policy };
  }

  /** Embeddings of all blocks: [R, blocks · T, d]. */
  private arrange(tokens: Int32Array, thoughts: Int32Array | null, layout: ThoughtLayout): Tensor {
    const { rows, length, thoughtLength: n, ahead } = layout;
    const { start, end, pause } = THOUGHT_MARKS;
    const pieces = [
      this.embed(tokens, rows),
      this.mark(start, rows, length),
      thoughts === null ? this.mark(pause, rows, n * length) : this.embed(thoughts, rows),
      this.mark(end, rows, length),
    ];
    for (let distance = 1; distance < ahead; distance++) {
      pieces.push(this.embed(shifted(tokens, rows, distance), rows));
    }
    return concat(pieces, 1);
  }
}

/** For each prediction of a talk the row of the plain hidden states that predicts the same token: i + distance. */
function plainRows({ rows, length, ahead }: ThoughtLayout): Int32Array {
  return Int32Array.from({ length: rows * ahead * length }, (_, at) => {
    const [origin, distance] = [at % length, Math.floor(at / length) % ahead];
    const row = Math.floor(at / (length * ahead));
    return row * length + Math.min(origin + distance, length - 1);
  });
}

/**
 * Targets of a talk, [R, ahead, T]: prediction `distance` after origin i is held against the target of token i + distance.
 * @param targets  [R, T], the token after each one
 * @returns        −100 where the row has no such token
 */
export function talkTargets(targets: Int32Array, { rows, length, ahead }: ThoughtLayout): Int32Array {
  return Int32Array.from({ length: rows * ahead * length }, (_, at) => {
    const [origin, distance] = [at % length, Math.floor(at / length) % ahead];
    const row = Math.floor(at / (length * ahead));
    return origin + distance < length ? (targets[row * length + origin + distance] as number) : -100;
  });
}

/** Negative log-likelihood of each target, nats; 0 where it is −100. */
export function natsOf(logits: Tensor, targets: Int32Array): Tensor {
  return crossEntropy(logits, tensor(targets), { reduction: 'none' });
}
