import type { SamplingOptions } from './sample-token.js';

/** Settings of `generate`. */
export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate; the model's context may end it earlier. */
  readonly maxTokens: number;
  /** Strings that end the text; they are not part of it. */
  readonly stop?: readonly string[];
  /** Same seed, same text. Default 0. */
  readonly seed?: number | bigint;
  /** End at the end-of-text token. Default true. */
  readonly stopAtEos?: boolean;
  /** Ends the generation after the current token, or before the first one, without an error. */
  readonly signal?: AbortSignal;
}

/** One step of a generation. */
export interface GeneratedToken {
  readonly token: number;
  /** Text that became certain with this token; '' while a character or a possible stop string is incomplete. */
  readonly text: string;
}

/** Why a generation ended. */
export type FinishReason = 'length' | 'stop' | 'eos' | 'aborted';

/** A finished generation. */
export interface Generation {
  /** Without the prompt and the stop string. */
  readonly text: string;
  readonly tokens: readonly number[];
  readonly promptTokens: number;
  readonly finish: FinishReason;
  /** Generated tokens per second, the prompt's own time left out. */
  readonly tokensPerSecond: number;
}
