import { setImmediate } from 'node:timers/promises';
import { concat, noGrad, Philox, reshape, scope, slice, type Tensor } from '@agentforge/tensor';
import { checkGeneration, type Prompt, promptIds } from '../generation/check-generation.js';
import { Continuation } from '../generation/continuation.js';
import type { GeneratedToken, GenerateOptions, Generation } from '../generation/generation.js';
import { sampleToken } from '../generation/sample-token.js';
import { KvCache } from '../llama/kv-cache.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { mixLogits } from './mixing-head.js';
import { THOUGHT_MARKS, type ThinkingModel } from './thinking-model.js';
import { InvalidThinkingError } from './thoughts.errors.js';

/** Settings of `generateThinking`. */
export interface GenerateThinkingOptions extends GenerateOptions {
  /** Tokens of each thought. */
  readonly thoughtLength: number;
  /** Thoughts are drawn at; 0 thinks the likeliest thought. Default 0. */
  readonly thoughtTemperature?: number;
}

/** What was thought before a token. Never part of the text. */
export interface Thought {
  readonly tokens: readonly number[];
  readonly text: string;
  /** Weight of the prediction without the thought, 0 to 1. */
  readonly plainShare: number;
}

/** One step: a token with the thought before it; null where the context had no room for one. */
export interface ThoughtfulToken extends GeneratedToken {
  readonly thought: Thought | null;
}

/**
 * Continues a prompt, thinking before every token. A thought is forgotten as soon as its token is chosen: the text goes on as
 * if it had not been there, and only tokens of the vocabulary can be chosen, never the marks.
 * @throws InvalidGenerationError, InvalidThinkingError  INVALID_ARGUMENT: every setting out of range
 * @throws NonFiniteLogitsError  FAILED_PRECONDITION: the model's predictions are not numbers
 */
export async function* generateThinking(
  model: ThinkingModel,
  tokenizer: Tokenizer,
  prompt: Prompt,
  options: GenerateThinkingOptions,
): AsyncGenerator<ThoughtfulToken, Generation> {
  const ids = promptIds(model.llama, tokenizer, prompt);
  checkGeneration(options, [['prompt', ids]], model.llama);
  checkThinking(options);
  const { signal, seed = 0 } = options;
  const continuation = new Continuation(model.llama.config, tokenizer, ids, options, seed);
  const thinker = new Thinker(model, tokenizer, options, new Philox(seed).stream('thoughts'));
  try {
    let input = ids;
    while (continuation.finish === null && !signal?.aborted) {
      const { logits, thought } = thinker.next(input);
      const piece = continuation.step(logits);
      if (piece === null) break;
      yield { ...piece, thought };
      await setImmediate();
      input = Int32Array.of(piece.token);
    }
    const rest = continuation.rest();
    if (rest !== null) yield { ...rest, thought: null };
    return continuation.result();
  } finally {
    thinker.dispose();
  }
}

function checkThinking({ thoughtLength, thoughtTemperature = 0 }: GenerateThinkingOptions): void {
  const violations = [];
  if (!Number.isInteger(thoughtLength) || thoughtLength < 1) {
    violations.push({
      field: 'thoughtLength',
      description: `is ${thoughtLength}; must be a whole number ≥ 1`,
    });
  }
  if (!(thoughtTemperature >= 0 && thoughtTemperature < Infinity)) {
    violations.push({
      field: 'thoughtTemperature',
      description: `is ${thoughtTemperature}; must be ≥ 0 and finite`,
    });
  }
  if (violations.length > 0) throw new InvalidThinkingError(violations);
}

/** Text in a cache, and thoughts that are put behind it and taken away again. */
class Thinker {
  private readonly cache: KvCache;

  constructor(
    private readonly model: ThinkingModel,
    private readonly tokenizer: Tokenizer,
    private readonly options: GenerateThinkingOptions,
    private readonly rng: Philox,
  ) {
    this.cache = new KvCache(model.llama.config);
  }

  /** Adds tokens to the text and predicts the next one, after a thought where there is room for its marks and a token. */
  next(ids: Int32Array): { logits: Float32Array; thought: Thought | null } {
    return noGrad(() =>
      scope(() => {
        const plain = this.read(this.model.embed(ids, 1));
        const end = this.cache.length;
        const room = this.cache.capacity - end - 2;
        if (room < 1) return { logits: this.model.logits(plain).toFloat32Array(), thought: null };
        const { hidden, tokens } = this.think(Math.min(room, this.options.thoughtLength));
        this.cache.rewind(end);
        const weight = this.model.mixing_head.forward(plain, hidden);
        const mixed = mixLogits(this.model.logits(plain), this.model.logits(hidden), weight);
        const text = this.tokenizer.decode(tokens.filter((id) => id < this.tokenizer.vocabSize));
        return { logits: mixed.toFloat32Array(), thought: { tokens, text, plainShare: weight.item() } };
      }),
    );
  }

  dispose(): void {
    this.cache.dispose();
  }

  private think(count: number): { hidden: Tensor; tokens: number[] } {
    const { model, options } = this;
    const tokens: number[] = [];
    let x = model.mark(THOUGHT_MARKS.start, 1, 1);
    for (let place = 0; place < count; place++) {
      const logits = model.logits(this.read(x)).toFloat32Array();
      const id = sampleToken(logits, { temperature: options.thoughtTemperature ?? 0 }, this.rng);
      tokens.push(id);
      x = model.embed(Int32Array.of(id), 1);
    }
    // The last token and the end mark go through together.
    return { hidden: this.read(concat([x, model.mark(THOUGHT_MARKS.end, 1, 1)], 1)), tokens };
  }

  /** Puts embeddings [1, S, d] behind what is in the cache; hidden state of the last one [1, d]. */
  private read(x: Tensor): Tensor {
    const [, length = 1, width = 1] = x.shape;
    const h = this.model.hidden(x, (layer) => this.cache.layer(layer));
    this.cache.advance(length);
    return reshape(slice(h, 1, length - 1, length), [1, width]);
  }
}
