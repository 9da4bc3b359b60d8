import { crossEntropy, noGrad, reshape, scope, tensor } from '@agentforge/tensor';
import { CorpusTooSmallError } from '../data/corpus.errors.js';
import { streamBytes, type TokenStream } from '../data/token-stream.js';
import type { LlamaModel } from '../llama/llama-model.js';
import { joinPonder, type Ponder } from '../recursion/halting.js';
import { InvalidEvaluationError } from './evaluation.errors.js';

/** Settings of `evaluate`. */
export interface EvaluateOptions {
  /** Tokens per window. Default: the model's contextLength. */
  readonly length?: number;
  /** Tokens from one window to the next, ≤ length. Less than length gives every token more context. Default length. */
  readonly stride?: number;
  /** Windows per forward pass; changes the speed only. Default 8. */
  readonly batchSize?: number;
  /** Look at this many first tokens only. Default all. */
  readonly maxTokens?: number;
  /** Called before each forward pass; throw from it to stop. */
  readonly checkCancelled?: () => void;
  /** Told after each forward pass how many tokens are predicted, and their total loss; throw from it to stop. */
  readonly onBatch?: (soFar: { readonly tokens: number; readonly nats: number }) => void;
}

/** How well a model predicts a text. */
export interface Evaluation {
  /** Mean loss, nats per token. */
  readonly lossNats: number;
  /** exp(lossNats). */
  readonly perplexity: number;
  /** Total loss in bits over the UTF-8 bytes of the predicted tokens; does not depend on the vocabulary. */
  readonly bitsPerByte: number;
  /** Tokens predicted: all but the first. */
  readonly tokens: number;
  /** UTF-8 bytes of those tokens. */
  readonly bytes: number;
  readonly seconds: number;
  /** Tokens put through the model per second. */
  readonly tokensPerSecond: number;
  /** When the positions of a model with recursion halted; null without. */
  readonly ponder: Ponder | null;
}

/** A stretch of tokens to put through the model; the first `skip` predictions were scored by the window before. */
interface Window {
  readonly start: number;
  readonly length: number;
  readonly skip: number;
}

/** Target that the loss leaves out. */
const IGNORE = -100;

/**
 * Loss of a model on a token stream. Every token after the first is predicted exactly once, from at most `length`
 * tokens before it; no prediction sees its own target. Deterministic; sums in f64.
 * @throws CorpusTooSmallError     INVALID_ARGUMENT: fewer than two tokens
 * @throws InvalidEvaluationError  INVALID_ARGUMENT: a setting out of range
 */
export function evaluate(model: LlamaModel, stream: TokenStream, options: EvaluateOptions = {}): Evaluation {
  const { length = model.config.contextLength, batchSize = 8, checkCancelled, onBatch } = options;
  const { stride = length, maxTokens = stream.tokens.length } = options;
  checkOptions({ length, stride, batchSize, maxTokens }, model.config.contextLength);
  const end = Math.min(stream.tokens.length, maxTokens);
  if (end < 2) {
    throw new CorpusTooSmallError([
      { field: 'stream', description: `${end} tokens; evaluation needs at least 2` },
    ]);
  }
  const started = performance.now();
  let nats = 0;
  let processed = 0;
  let predicted = 0;
  const ponder: Ponder[] = [];
  for (const windows of batched(windowsOf(end, length, stride), batchSize)) {
    checkCancelled?.();
    nats += lossOf(model, stream.tokens, windows, (one) => ponder.push(one));
    for (const { length: tokens, skip } of windows) {
      processed += tokens;
      predicted += tokens - skip;
    }
    onBatch?.({ tokens: predicted, nats });
  }
  const seconds = (performance.now() - started) / 1000;
  const tokens = end - 1;
  const bytes = streamBytes(stream, 1, end);
  return {
    lossNats: nats / tokens,
    perplexity: Math.exp(nats / tokens),
    bitsPerByte: nats / Math.LN2 / bytes,
    tokens,
    bytes,
    seconds,
    tokensPerSecond: processed / seconds,
    ponder: joinPonder(ponder),
  };
}

function checkOptions(
  { length, stride, batchSize, maxTokens }: Record<'length' | 'stride' | 'batchSize' | 'maxTokens', number>,
  contextLength: number,
): void {
  const violations: { field: string; description: string }[] = [];
  const requireUpTo = (field: string, value: number, max: number): void => {
    if (Number.isInteger(value) && value >= 1 && value <= max) return;
    violations.push({ field, description: `is ${value}; must be a whole number from 1 to ${max}` });
  };
  requireUpTo('length', length, contextLength);
  requireUpTo('stride', stride, length);
  requireUpTo('batchSize', batchSize, 65_536);
  requireUpTo('maxTokens', maxTokens, Number.MAX_SAFE_INTEGER);
  if (violations.length > 0) throw new InvalidEvaluationError(violations);
}

/** Windows over tokens 0 … end-1 whose scored targets are 1 … end-1, each once. */
function* windowsOf(end: number, length: number, stride: number): Generator<Window> {
  let scored = 1;
  for (let start = 0; scored < end; start += stride) {
    const windowLength = Math.min(length, end - 1 - start);
    yield { start, length: windowLength, skip: scored - (start + 1) };
    scored = start + windowLength + 1;
  }
}

/** Groups of at most `size` windows of equal length. */
function* batched(windows: Iterable<Window>, size: number): Generator<Window[]> {
  let group: Window[] = [];
  for (const window of windows) {
    if (group.length === size || (group[0] && group[0].length !== window.length)) {
      yield group;
      group = [];
    }
    group.push(window);
  }
  if (group.length > 0) yield group;
}

function lossOf(
  model: LlamaModel,
  tokens: Int32Array,
  windows: readonly Window[],
  onPonder: (ponder: Ponder) => void,
): number {
  const length = windows[0]?.length ?? 0;
  const inputs = new Int32Array(windows.length * length);
  const targets = new Int32Array(windows.length * length);
  windows.forEach(({ start, skip }, row) => {
    inputs.set(tokens.subarray(start, start + length), row * length);
    targets.set(tokens.subarray(start + 1, start + 1 + length), row * length);
    targets.fill(IGNORE, row * length, row * length + skip);
  });
  return noGrad(() =>
    scope(() => {
      const logits = model.forward(tensor(inputs, [windows.length, length]), { onPonder });
      const losses = crossEntropy(reshape(logits, [inputs.length, -1]), tensor(targets), {
        ignoreIndex: IGNORE,
        reduction: 'none',
      });
      return losses.toFloat32Array().reduce((sum, loss) => sum + loss, 0);
    }),
  );
}
