import { memoryStats, noGrad, Philox, scope, tensor } from '@agentforge/tensor';
import fc from 'fast-check';
import { presetConfig } from '../config/model-config.js';
import { LlamaModel } from '../llama/llama-model.js';
import { BpeTokenizer } from '../tokenizer/bpe-tokenizer.js';
import { byteTokenizer } from '../tokenizer/byte-tokenizer.js';
import { generate, generateText, resultOf } from './generate.js';
import { generateBatch } from './generate-batch.js';
import type { GenerateOptions } from './generation.js';
import { argmaxToken, sampleToken } from './sample-token.js';
import { TextStream } from './text-stream.js';

const tokenizer = byteTokenizer();
const CONFIG = presetConfig('pico', {
  vocabSize: 257,
  hiddenSize: 32,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 16,
  intermediateSize: 48,
  contextLength: 24,
});
const model = LlamaModel.init(CONFIG, new Philox(9));

async function piecesOf(prompt: string, options: GenerateOptions): Promise<string[]> {
  const pieces: string[] = [];
  for await (const { text } of generate(model, tokenizer, prompt, options)) pieces.push(text);
  return pieces;
}

describe('generate()', () => {
  it('greedily gives what the full forward pass gives', async () => {
    const { tokens, promptTokens, finish } = await generateText(model, tokenizer, 'ab', {
      maxTokens: 10,
      temperature: 0,
    });
    const ids = [...tokenizer.encode('ab')];
    for (let i = 0; i < 10; i++) {
      const logits = noGrad(() =>
        scope(() => model.forward(tensor(ids, [1, ids.length], { dtype: 'i32' })).toFloat32Array()),
      );
      ids.push(argmaxToken(logits.subarray(-CONFIG.vocabSize)));
    }
    expect(tokens).toEqual(ids.slice(2));
    expect([promptTokens, finish]).toEqual([2, 'length']);
  });

  it('puts the token of the tokenizer before a text, once, and before no token ids', async () => {
    const begins = new BpeTokenizer({ ...tokenizer.vocabulary, bosToken: '<|endoftext|>' });
    const text = [...begins.encode('ab')];
    const run = (prompt: string | number[]) =>
      generateText(model, begins, prompt, { maxTokens: 8, temperature: 0 });
    const wanted = await run([0, ...text]);
    for (const prompt of ['ab', '<|endoftext|>ab']) {
      const { tokens, promptTokens } = await run(prompt);
      expect({ tokens, promptTokens }).toEqual({ tokens: wanted.tokens, promptTokens: 3 });
    }
    expect((await run(text)).promptTokens).toBe(2);
    expect((await run('')).promptTokens).toBe(1);
  });

  it('repeats with the same seed and differs with another', async () => {
    const run = async (seed: number) =>
      (await generateText(model, tokenizer, 'x', { maxTokens: 12, seed })).tokens;
    expect(await run(1)).toEqual(await run(1));
    expect(await run(1)).not.toEqual(await run(2));
  });

  it('gives out pieces that make up the text, never half a character', async () => {
    const options = { maxTokens: 20, seed: 3, stopAtEos: false };
    const { text, tokens } = await generateText(model, tokenizer, 'x', options);
    expect((await piecesOf('x', options)).join('')).toBe(text);
    expect(text).toBe(tokenizer.decode(tokens, { skipSpecial: true }));
  });

  it('ends at a stop string, which is left out', async () => {
    const options = { maxTokens: 20, temperature: 0 };
    const whole = (await generateText(model, tokenizer, 'ab', options)).text;
    const stop = whole.slice(3, 5);
    const stopped = await generateText(model, tokenizer, 'ab', { ...options, stop: [stop] });
    expect(stopped.text).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(stopped.finish).toBe('stop');
    expect((await piecesOf('ab', { ...options, stop: [stop] })).join('')).toBe(stopped.text);
  });

  it('ends at the end-of-text token', async () => {
    const greedy =
      (await generateText(model, tokenizer, 'ab', { maxTokens: 3, temperature: 0 })).tokens[0] ?? 0;
    const same = LlamaModel.fromState({ ...CONFIG, eosTokenId: greedy }, model.exportWeights());
    const result = await generateText(same, tokenizer, 'ab', { maxTokens: 3, temperature: 0 });
    expect([result.finish, result.tokens.length]).toEqual(['eos', 0]);
    const on = await generateText(same, tokenizer, 'ab', { maxTokens: 3, temperature: 0, stopAtEos: false });
    expect(on.tokens).toHaveLength(3);
    same.dispose();
  });

  it('ends when the context is full', async () => {
    const { tokens, finish } = await generateText(model, tokenizer, 'abcd', {
      maxTokens: 100,
      stopAtEos: false,
    });
    // 20 more positions, and the last prediction needs none.
    expect([tokens.length, finish]).toEqual([21, 'length']);
  });

  it('starts from the end-of-text token when the prompt is empty', async () => {
    expect((await generateText(model, tokenizer, '', { maxTokens: 1 })).promptTokens).toBe(1);
  });

  it('ends when aborted, and frees its cache when abandoned', async () => {
    const controller = new AbortController();
    controller.abort();
    const { finish, tokens } = await generateText(model, tokenizer, 'a', {
      maxTokens: 9,
      signal: controller.signal,
      stopAtEos: false,
    });
    expect([finish, tokens.length]).toEqual(['aborted', 0]);
    const later = new AbortController();
    const pieces = generate(model, tokenizer, 'a', { maxTokens: 9, signal: later.signal, stopAtEos: false });
    await pieces.next();
    later.abort();
    expect((await resultOf(pieces)).tokens).toHaveLength(1);
    const before = memoryStats().liveTensors;
    for await (const _ of generate(model, tokenizer, 'a', { maxTokens: 9, stopAtEos: false })) break;
    // What other files of this process left behind may be collected meanwhile.
    expect(memoryStats().liveTensors).toBeLessThanOrEqual(before);
  });

  it('lists everything that is wrong with the settings', async () => {
    const options = { maxTokens: 0, temperature: -1, topK: 0, topP: 2 };
    await expect(generateText(model, tokenizer, 'x'.repeat(24), options)).rejects.toMatchObject({
      name: 'InvalidGenerationError',
      code: 'INVALID_ARGUMENT',
      fieldViolations: ['maxTokens', 'temperature', 'topK', 'topP', 'prompt'].map((field) =>
        expect.objectContaining({ field }),
      ),
    });
    await expect(generateText(model, tokenizer, [300], { maxTokens: 1 })).rejects.toThrow(/token 300/);
  });
});

describe('generateBatch()', () => {
  const PROMPTS = ['a', 'abcdefghij', '', 'xyz', 'the quick brown'];
  const options = { maxTokens: 12, seed: 5, stopAtEos: false };
  const alone = (extra: object = {}) =>
    Promise.all(
      PROMPTS.map((prompt, i) =>
        generateText(model, tokenizer, prompt, { ...options, ...extra, seed: 5 + i }),
      ),
    );

  it.each([1, 2, 16])(
    'gives each prompt what it gets alone, %d together, and frees its caches',
    async (concurrency) => {
      const before = memoryStats().liveTensors;
      const batch = await resultOf(generateBatch(model, tokenizer, PROMPTS, { ...options, concurrency }));
      expect(memoryStats().liveTensors).toBeLessThanOrEqual(before);
      const single = await alone();
      expect(batch.map(({ tokens, text, finish }) => ({ tokens, text, finish }))).toEqual(
        single.map(({ tokens, text, finish }) => ({ tokens, text, finish })),
      );
      expect(new Set(single.map(({ tokens }) => tokens.length)).size).toBeGreaterThan(1);
    },
  );

  it('gives out pieces that make up each text', async () => {
    const texts = PROMPTS.map(() => '');
    const stop = [(await alone())[1]?.text.slice(2, 4) ?? ''];
    for await (const { prompt, text } of generateBatch(model, tokenizer, PROMPTS, { ...options, stop }))
      texts[prompt] += text;
    expect(texts).toEqual((await alone({ stop })).map(({ text }) => text));
  });

  it('stops all when aborted, and frees its caches when abandoned', async () => {
    const before = memoryStats().liveTensors;
    const controller = new AbortController();
    const pieces = generateBatch(model, tokenizer, PROMPTS, {
      ...options,
      concurrency: 2,
      signal: controller.signal,
    });
    for (let i = 0; i < 4; i++) await pieces.next();
    controller.abort();
    const results = await resultOf(pieces);
    expect(results.map(({ finish }) => finish)).toEqual(PROMPTS.map(() => 'aborted'));
    expect(results.at(-1)?.tokens).toEqual([]);
    for await (const _ of generateBatch(model, tokenizer, PROMPTS, options)) break;
    expect(memoryStats().liveTensors).toBeLessThanOrEqual(before);
  });

  it('lists everything that is wrong with settings and prompts', async () => {
    const prompts = ['ok', 'x'.repeat(24), [300]];
    await expect(
      resultOf(generateBatch(model, tokenizer, prompts, { maxTokens: 0, concurrency: 0 })),
    ).rejects.toMatchObject({
      name: 'InvalidGenerationError',
      fieldViolations: ['concurrency', 'maxTokens', 'prompts[1]', 'prompts[2]'].map((field) =>
        expect.objectContaining({ field }),
      ),
    });
    expect(await resultOf(generateBatch(model, tokenizer, [], { maxTokens: 1 }))).toEqual([]);
  });

  it('says that a damaged model has no predictions', async () => {
    const weights = model.exportWeights();
    weights.get('model.norm.weight')?.fill(Number.NaN);
    const damaged = LlamaModel.fromState(CONFIG, weights);
    await expect(generateText(damaged, tokenizer, 'a', { maxTokens: 1 })).rejects.toMatchObject({
      name: 'NonFiniteLogitsError',
    });
    damaged.dispose();
  });
});

describe('sampleToken()', () => {
  const logits = Float32Array.from([0.1, 0.5, 0.25, 0.15], Math.log);
  const shares = (options: Parameters<typeof sampleToken>[1]): number[] => {
    const rng = new Philox(4);
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 4000; i++) {
      const token = sampleToken(logits, options, rng);
      counts[token] = (counts[token] ?? 0) + 1;
    }
    return counts.map((count) => count / 4000);
  };
  // 4000 draws: standard error of a share is below 0.008.
  const near = (expected: number[]) => expected.map((share) => expect.closeTo(share, 1.2));

  it('draws from the softmax', () => expect(shares({})).toEqual(near([0.1, 0.5, 0.25, 0.15])));
  it('sharpens with a low temperature', () =>
    expect(shares({ temperature: 0.5 })).toEqual(near([0.029, 0.725, 0.181, 0.065])));
  it('keeps the k most likely', () => expect(shares({ topK: 2 })).toEqual(near([0, 0.667, 0.333, 0])));
  it('keeps the fewest that reach p', () => {
    expect(shares({ topP: 0.74 })).toEqual(near([0, 0.667, 0.333, 0]));
    expect(shares({ topP: 0.76 })).toEqual(near([0, 0.556, 0.278, 0.167]));
    expect(shares({ topP: 0.01 })).toEqual([0, 1, 0, 0]);
  });
  it('is greedy at temperature 0, the lowest id of equals, without a draw', () => {
    const rng = new Philox(1);
    const before = rng.state;
    expect(sampleToken(Float32Array.of(1, 3, 3), { temperature: 0 }, rng)).toBe(1);
    expect(rng.state).toEqual(before);
  });
  it('never draws what has no probability', () => {
    const rng = new Philox(1);
    const only = Float32Array.of(Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY);
    for (let i = 0; i < 50; i++) expect(sampleToken(only, {}, rng)).toBe(1);
  });
});

describe('TextStream', () => {
  it('gives the same text in any division into pieces', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.array(fc.integer({ min: 1, max: 5 })),
        (text, sizes) => {
          const stream = new TextStream();
          const bytes = new TextEncoder().encode(text);
          let out = '';
          let at = 0;
          for (const size of [...sizes, bytes.length]) {
            out += stream.push(bytes.subarray(at, at + size));
            expect(text.startsWith(out)).toBe(true);
            at += size;
          }
          expect(out + stream.end()).toBe(text);
        },
      ),
    );
  });

  it('finds stop strings across pieces and gives out nothing of them', () => {
    const push = (stream: TextStream, text: string) => stream.push(new TextEncoder().encode(text));
    const stream = new TextStream(['END', '']);
    expect(['a', 'EN', 'x', 'E', 'ND', 'more'].map((text) => push(stream, text))).toEqual([
      'a',
      '',
      'ENx',
      '',
      '',
      '',
    ]);
    expect([stream.isStopped, stream.end()]).toEqual([true, '']);
    const unfinished = new TextStream(['END']);
    expect([push(unfinished, 'EN'), unfinished.end()]).toEqual(['', 'EN']);
  });

  it('cuts at the same place however the text is divided, never shows a part of a stop string', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\u{1F389}'), minLength: 1, maxLength: 4 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\u{1F389}'), maxLength: 30 });
    fc.assert(
      fc.property(
        text,
        fc.array(word, { maxLength: 3 }),
        fc.array(fc.integer({ min: 1, max: 6 })),
        (whole, stop, sizes) => {
          // The first end of a stop string, and of those that end there the one that begins first.
          let expected = whole;
          for (let end = whole.length; end > 0; end--) {
            const starts = stop.filter((s) => whole.slice(0, end).endsWith(s)).map((s) => end - s.length);
            if (starts.length > 0) expected = whole.slice(0, Math.min(...starts));
          }
          const stream = new TextStream(stop);
          const bytes = new TextEncoder().encode(whole);
          let out = '';
          let at = 0;
          for (const size of [...sizes, bytes.length]) {
            out += stream.push(bytes.subarray(at, at + size));
            at += size;
            expect(expected.startsWith(out)).toBe(true);
          }
          expect(out + stream.end()).toBe(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('ends an incomplete character with U+FFFD', () => {
    const stream = new TextStream();
    expect(stream.push(Uint8Array.of(0x61, 0xc3))).toBe('a');
    expect(stream.end()).toBe('\uFFFD');
  });
});
