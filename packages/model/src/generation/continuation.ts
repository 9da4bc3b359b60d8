import { Philox } from '@agentforge/tensor';
import type { ModelConfig } from '../config/model-config.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { NonFiniteLogitsError } from './generation.errors.js';
import type { FinishReason, GeneratedToken, GenerateOptions, Generation } from './generation.js';
import { argmaxToken, sampleToken } from './sample-token.js';
import { TextStream } from './text-stream.js';

/** One prompt that is being continued: what was chosen so far, and whether and why it ended. No tensors. */
export class Continuation {
  /** Token ids of the prompt. */
  readonly ids: Int32Array;
  readonly tokens: number[] = [];
  /** Why it ended; null while it goes on. */
  finish: FinishReason | null = null;
  private readonly config: ModelConfig;
  private readonly tokenizer: Tokenizer;
  private readonly options: GenerateOptions;
  private readonly rng: Philox;
  private readonly stream: TextStream;
  private text = '';
  private startedMs: number | null = null;

  constructor(
    config: ModelConfig,
    tokenizer: Tokenizer,
    ids: Int32Array,
    options: GenerateOptions,
    seed: number | bigint,
  ) {
    this.config = config;
    this.tokenizer = tokenizer;
    this.ids = ids;
    this.options = options;
    this.rng = new Philox(seed);
    this.stream = new TextStream(options.stop);
  }

  /** Positions that prompt and continuation take at most. */
  get capacity(): number {
    return Math.min(this.config.contextLength, this.ids.length + this.options.maxTokens);
  }

  /**
   * Chooses the next token and finds out whether it is the last one.
   * @param logits  f32 [V]
   * @returns       the token with the text that became certain; null at the end of text, which is not part of it
   * @throws NonFiniteLogitsError  FAILED_PRECONDITION
   */
  step(logits: Float32Array): GeneratedToken | null {
    this.startedMs ??= performance.now();
    if (!Number.isFinite(logits[argmaxToken(logits)])) {
      throw new NonFiniteLogitsError(this.ids.length + this.tokens.length);
    }
    const token = sampleToken(logits, this.options, this.rng);
    const { stopAtEos = true, maxTokens } = this.options;
    if (stopAtEos && (token === this.tokenizer.eosId || token === this.config.eosTokenId)) {
      this.finish = 'eos';
      return null;
    }
    this.tokens.push(token);
    // An embedding row beyond the tokenizer's ids stands for no bytes.
    const bytes = token < this.tokenizer.vocabSize ? this.tokenizer.tokenBytes(token) : new Uint8Array(0);
    const text = this.stream.push(bytes);
    this.text += text;
    if (this.stream.isStopped) this.finish = 'stop';
    else if (this.tokens.length >= maxTokens || this.ids.length + this.tokens.length > this.capacity) {
      this.finish = 'length';
    }
    return { token, text };
  }

  /** Text that was held back, with the last token; null when there is none. Call once, at the end. */
  rest(): GeneratedToken | null {
    const text = this.stream.end();
    this.text += text;
    const token = this.tokens.at(-1);
    return text === '' || token === undefined ? null : { token, text };
  }

  /** The whole, after `rest`. */
  result(): Generation {
    const seconds = this.startedMs === null ? 0 : (performance.now() - this.startedMs) / 1000;
    return {
      text: this.text,
      tokens: this.tokens,
      promptTokens: this.ids.length,
      finish: this.finish ?? 'aborted',
      tokensPerSecond: seconds > 0 ? this.tokens.length / seconds : 0,
    };
  }
}
