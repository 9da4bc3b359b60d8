import { readFileSync } from 'node:fs';
import { BpeTokenizer, readTokenizer, TOKENIZER_FILE, trainBpe } from '@agentforge/model';

const golden = JSON.parse(readFileSync(new URL('./tokenizer.json', import.meta.url), 'utf8')) as {
  vocab_size: number;
  vocab: Record<string, number>;
  merges: [string, string][];
  cases: { text: string; ids: number[] }[];
};
const corpus = readFileSync(new URL('./corpus.txt', import.meta.url), 'utf8');

describe('BpeTokenizer against Hugging Face tokenizers', () => {
  const tokenizer = trainBpe([corpus], {
    vocabSize: golden.vocab_size,
    specialTokens: ['<|endoftext|>', '<|end|>'],
  });

  it('learns the same merges and gives the same ids to tokens', () => {
    const { tokens, merges } = tokenizer.vocabulary;
    expect(merges.map(({ left, right }) => [tokens[left], tokens[right]])).toEqual(golden.merges);
    expect(Object.fromEntries(tokens.map((token, id) => [token, id]))).toEqual(golden.vocab);
  });

  it.each<[string, () => BpeTokenizer]>([
    ['trained', () => tokenizer],
    ['saved and read', () => readTokenizer(tokenizer.files().get(TOKENIZER_FILE) ?? '')],
  ])('encodes every text as there (%s)', (_, subject) => {
    const encoder = subject();
    expect(golden.cases.length).toBeGreaterThan(200);
    for (const { text, ids } of golden.cases) {
      expect({ text, ids: [...encoder.encode(text, { parseSpecial: true })] }).toEqual({ text, ids });
      expect(encoder.decode(ids)).toBe(text);
    }
  });
});
