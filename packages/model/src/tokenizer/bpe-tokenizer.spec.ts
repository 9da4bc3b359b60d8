import fc from 'fast-check';
import { MergeTable, pairKey } from './bpe-merges.js';
import { BpeTokenizer } from './bpe-tokenizer.js';
import { trainBpe } from './bpe-trainer.js';
import { byteTokenizer } from './byte-tokenizer.js';
import { type PreTokenizer, preTokenize } from './pre-tokenize.js';

const TEXT = 'low lower lowest newer newest wider widest, low low new new aaaaaaaa 2024 2025\n'.repeat(3);

describe('trainBpe()', () => {
  it('merges the most frequent pair first, the smaller ids among equals', () => {
    const { vocabulary } = trainBpe(['ab ab ab cd cd cd'], { vocabSize: 261, minFrequency: 2 });
    const learned = vocabulary.tokens.slice(257);
    // "ab" and "cd" occur three times, then " cd" three times and " ab" twice.
    expect(learned).toEqual(['ab', 'cd', 'Ġcd', 'Ġab']);
  });

  it('gives the same tokenizer whatever the order of the texts', () => {
    const lines = TEXT.split('\n').map((line) => `${line}\n`);
    const forward = trainBpe(lines, { vocabSize: 300 });
    const backward = trainBpe(lines.reverse(), { vocabSize: 300 });
    expect(backward.vocabulary).toEqual(forward.vocabulary);
  });

  it('stops when no pair reaches the minimum frequency', () => {
    expect(trainBpe(['abc'], { vocabSize: 1000 }).vocabSize).toBe(257);
    expect(trainBpe(['abc'], { vocabSize: 1000, minFrequency: 1 }).vocabSize).toBe(259);
  });

  it('refuses every bad option at once', () => {
    const train = () => trainBpe([TEXT], { vocabSize: 100, minFrequency: 0, specialTokens: ['', ''] });
    expect(train).toThrow(
      expect.objectContaining({
        name: 'TokenizerTrainingError',
        code: 'INVALID_ARGUMENT',
        fieldViolations: [
          expect.objectContaining({ field: 'vocabSize' }),
          expect.objectContaining({ field: 'minFrequency' }),
          expect.objectContaining({ field: 'specialTokens' }),
        ],
      }),
    );
  });

  it('can be stopped', () => {
    const stop = new Error('stop');
    const checkCancelled = (): void => {
      throw stop;
    };
    expect(() => trainBpe([TEXT], { vocabSize: 300, checkCancelled })).toThrow(stop);
  });
});

describe('preTokenize()', () => {
  it('splits as GPT-2 does', () => {
    expect([...preTokenize("I'll pay 3 euros!  ok\n\n x")]).toEqual([
      'I',
      "'ll",
      ' pay',
      ' 3',
      ' euros',
      '!',
      ' ',
      ' ok',
      '\n\n',
      ' x',
    ]);
  });

  it.each<[PreTokenizer, string[]]>([
    ['smollm', ['a', ' ', '1', '2', '  ', '3', ' ', ' b', "'s", "'", 'S', '!', '\n', '\n', 'x']],
    ['llama3', ['a', ' ', '12', ' ', ' ', '3', ' ', ' b', "'s", "'S", '!\n\n', 'x']],
  ])('splits as %s does', (preTokenizer, pieces) => {
    expect([...preTokenize("a 12  3  b's'S!\n\nx", preTokenizer)]).toEqual(pieces);
  });

  it.each<PreTokenizer>(['gpt2', 'llama3', 'smollm'])('loses nothing (%s)', (preTokenizer) => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        (text) => [...preTokenize(text, preTokenizer)].join('') === text,
      ),
    );
  });
});

describe('MergeTable', () => {
  it('gives what merging the lowest rank, leftmost first, gives', () => {
    const merges = [
      { left: 0, right: 1, merged: 3 },
      { left: 1, right: 0, merged: 4 },
      { left: 0, right: 0, merged: 5 },
      { left: 3, right: 0, merged: 6 },
      { left: 5, right: 5, merged: 7 },
    ];
    const table = new MergeTable(merges);
    const naive = (ids: number[]): number[] => {
      for (;;) {
        const ranks = ids
          .slice(1)
          .map((right, i) =>
            merges.findIndex((merge) => pairKey(merge.left, merge.right) === pairKey(ids[i] ?? -1, right)),
          );
        const best = Math.min(...ranks.filter((rank) => rank >= 0));
        const merge = merges[best];
        if (merge === undefined) return ids;
        ids.splice(ranks.indexOf(best), 2, merge.merged);
      }
    };
    fc.assert(
      fc.property(fc.array(fc.nat(2), { maxLength: 40 }), (ids) => {
        expect([...table.apply(Int32Array.from(ids))]).toEqual(naive([...ids]));
      }),
    );
  });

  it('takes a long run of one character in its stride', () => {
    const tokenizer = trainBpe(['a'.repeat(64)], { vocabSize: 300, minFrequency: 1 });
    const ids = tokenizer.encode('a'.repeat(300_000));
    expect(tokenizer.decode(ids)).toHaveLength(300_000);
    expect(ids.length).toBeLessThan(10_000);
  });
});

describe('BpeTokenizer', () => {
  const tokenizer = trainBpe([TEXT], { vocabSize: 320, specialTokens: ['<|endoftext|>', '<|end|>', '<|'] });

  it.each([
    ['BPE', tokenizer],
    ['bytes', byteTokenizer()],
  ])('decode(encode(text)) is the text (%s)', (_, subject: BpeTokenizer) => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const clean = text.replace(/\p{Surrogate}/gu, '\uFFFD');
        const ids = subject.encode(text);
        expect(subject.decode(ids)).toBe(clean);
        const bytes = [...ids].reduce((sum, id) => sum + subject.tokenByteLength(id), 0);
        expect(bytes).toBe(Buffer.byteLength(clean));
      }),
    );
  });

  it('encodes the same with a cold and a warm cache', () => {
    const fresh = new BpeTokenizer(tokenizer.vocabulary);
    const once = fresh.encode(TEXT);
    expect(fresh.encode(TEXT)).toEqual(once);
  });

  it('reads special tokens only when asked, the longest first', () => {
    const text = 'low<|end|>low<|endoftext|>';
    expect(tokenizer.decode(tokenizer.encode(text), { skipSpecial: true })).toBe(text);
    const ids = tokenizer.encode(text, { parseSpecial: true });
    expect([...ids].filter((id) => id < 3)).toEqual([1, 0]);
    expect(tokenizer.decode(ids)).toBe(text);
    expect(tokenizer.decode(ids, { skipSpecial: true })).toBe('lowlow');
  });

  it('throws TokenIdError on an id it does not have', () => {
    for (const id of [-1, tokenizer.vocabSize, Number.NaN]) {
      expect(() => tokenizer.decode([id])).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
    }
  });

  it('takes a piece that is a token for it where merges are ignored, but never for a special token', () => {
    const { tokens, merges } = tokenizer.vocabulary;
    const vocabulary = { ...tokenizer.vocabulary, tokens: [...tokens, 'tolow', 'slow'], merges };
    const encode = (ignoreMerges: boolean, specialTokens: readonly string[]) => (text: string) => [
      ...new BpeTokenizer({ ...vocabulary, ignoreMerges, specialTokens }).encode(text),
    ];
    const merged = encode(false, []);
    expect(encode(true, [])('tolow')).toEqual([tokens.length]);
    expect(merged('tolow').length).toBeGreaterThan(1);
    expect(encode(true, ['slow'])('slow')).toEqual(merged('slow'));
    expect(encode(true, [])('xtolow')).toEqual(merged('xtolow'));
  });

  it('gives out copies of its bytes', () => {
    const id = tokenizer.encode('l')[0] ?? 0;
    tokenizer.tokenBytes(id).fill(0);
    expect(tokenizer.decode([id])).toBe('l');
  });
});

describe('byteTokenizer()', () => {
  it('has one id per byte and the end of text', () => {
    const tokenizer = byteTokenizer();
    expect(tokenizer.vocabSize).toBe(257);
    expect(tokenizer.eosId).toBe(0);
    expect(tokenizer.encode('aé')).toHaveLength(3);
    expect(new Set(tokenizer.encode(TEXT)).has(0)).toBe(false);
  });
});
