import { noGrad, Philox, scope, tensor } from '@agentforge/tensor';
import { presetConfig } from '../config/model-config.js';
import { splitOf } from '../data/split.js';
import { encodeSplit, type TokenStream } from '../data/token-stream.js';
import { LlamaModel } from '../llama/llama-model.js';
import { byteTokenizer } from '../tokenizer/byte-tokenizer.js';
import { evaluate } from './evaluate.js';

const CONFIG = presetConfig('pico', {
  vocabSize: 257,
  hiddenSize: 32,
  numLayers: 1,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 16,
  intermediateSize: 48,
  contextLength: 16,
});
const model = LlamaModel.init(CONFIG, new Philox(1));
const stream: TokenStream = encodeSplit(
  byteTokenizer(),
  splitOf('report', ['The quick brown fox jumps över the lazy dog.']),
);

/** Loss of predicting token `at` from the `context` tokens before it. */
function lossAt(at: number, context: number): number {
  const ids = stream.tokens.slice(at - context, at);
  const logits = noGrad(() =>
    scope(() => model.forward(tensor(ids, [1, context]), { lastOnly: true }).toFloat32Array()),
  );
  const max = Math.max(...logits);
  const logSum = max + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
  return logSum - (logits[stream.tokens[at] ?? 0] ?? 0);
}

function meanLoss(contextAt: (at: number) => number): number {
  let sum = 0;
  for (let at = 1; at < stream.tokens.length; at++) sum += lossAt(at, contextAt(at));
  return sum / (stream.tokens.length - 1);
}

describe('evaluate()', () => {
  it('predicts every token but the first once, from its own window', () => {
    const { lossNats, tokens, bytes, perplexity, bitsPerByte } = evaluate(model, stream, { length: 8 });
    expect(tokens).toBe(stream.tokens.length - 1);
    // 45 bytes of text, the first of them not predicted; the end-of-text token counts none.
    expect(bytes).toBe(44);
    expect(lossNats).toBeCloseTo(
      meanLoss((at) => ((at - 1) % 8) + 1),
      5,
    );
    expect(perplexity).toBeCloseTo(Math.exp(lossNats), 8);
    expect(bitsPerByte).toBeCloseTo((lossNats * tokens) / Math.LN2 / bytes, 8);
  });

  it('gives more context with a stride, and still predicts every token once', () => {
    const { lossNats, tokens } = evaluate(model, stream, { length: 8, stride: 2 });
    expect(tokens).toBe(stream.tokens.length - 1);
    const contextAt = (at: number): number => (at <= 8 ? at : Math.min(8, ((at - 1) % 2) + 7));
    expect(lossNats).toBeCloseTo(meanLoss(contextAt), 5);
  });

  it('does not depend on the batch size, and repeats to the bit', () => {
    const one = evaluate(model, stream, { length: 8, batchSize: 1 });
    expect(evaluate(model, stream, { length: 8, batchSize: 4 }).lossNats).toBeCloseTo(one.lossNats, 6);
    expect(evaluate(model, stream, { length: 8, batchSize: 1 }).lossNats).toBe(one.lossNats);
  });

  it('looks at the first tokens only when asked', () => {
    const first = { ...stream, tokens: stream.tokens.slice(0, 20) };
    expect(evaluate(model, stream, { maxTokens: 20 }).lossNats).toBe(evaluate(model, first).lossNats);
  });

  it('refuses bad settings, and streams without a token to predict', () => {
    expect(() => evaluate(model, stream, { length: 17, stride: 0 })).toThrow(/length: is 17.*stride: is 0/);
    expect(() => evaluate(model, { ...stream, tokens: Int32Array.of(1) })).toThrow(
      expect.objectContaining({ name: 'CorpusTooSmallError' }),
    );
  });

  it('tells after each batch what was predicted so far, as the whole counts it', () => {
    const seen: { tokens: number; nats: number }[] = [];
    const onBatch = (soFar: (typeof seen)[number]) => seen.push({ ...soFar });
    const whole = evaluate(model, stream, { length: 8, stride: 2, batchSize: 4, onBatch });
    expect(seen.at(-1)?.tokens).toBe(whole.tokens);
    expect(seen.at(-1)?.nats).toBeCloseTo(whole.lossNats * whole.tokens, 10);
    const [first] = seen as [(typeof seen)[number]];
    const start = evaluate(model, stream, {
      length: 8,
      stride: 2,
      batchSize: 4,
      maxTokens: first.tokens + 1,
    });
    expect(first.nats).toBeCloseTo(start.lossNats * start.tokens, 4);
  });

  it('can be stopped', () => {
    const checkCancelled = (): void => {
      throw new Error('stop');
    };
    expect(() => evaluate(model, stream, { checkCancelled })).toThrow('stop');
  });
});
