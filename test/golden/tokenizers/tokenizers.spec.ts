import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  BpeTokenizer,
  byteTokenizer,
  directorySource,
  loadTokenizer,
  type PreTokenizer,
  readTokenizer,
  TOKENIZER_CONFIG_FILE,
  TOKENIZER_FILE,
} from '@agentforge/model';

interface Golden {
  readonly specials: readonly string[];
  readonly before: readonly number[];
  readonly cases: readonly Case[];
}

interface Case {
  readonly text: string;
  readonly ids: readonly number[];
  readonly cuts: readonly number[];
  readonly decoded?: string;
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
const GOLDEN = JSON.parse(readFileSync(`${HERE}golden.json`, 'utf8')) as { kinds: Record<string, Golden> };

const KINDS: [PreTokenizer, boolean][] = [
  ['llama3', true],
  ['smollm', false],
];

function resaved(tokenizer: BpeTokenizer): BpeTokenizer {
  const files = tokenizer.files();
  return readTokenizer(files.get(TOKENIZER_FILE) ?? '', files.get(TOKENIZER_CONFIG_FILE));
}

/** A tokenizer for which every piece of the texts is one token: its ids show where it cuts. */
function showingPieces(preTokenizer: PreTokenizer, pieces: Iterable<string>): BpeTokenizer {
  const { vocabulary } = byteTokenizer();
  const tokens = [...new Set([...vocabulary.tokens, ...pieces])];
  return new BpeTokenizer({ ...vocabulary, tokens, preTokenizer, ignoreMerges: true });
}

/** A text in pieces of so many bytes, in the characters of a vocabulary. */
function piecesOf({ text, cuts }: Case): string[] {
  const { tokens } = byteTokenizer().vocabulary;
  const chars = [...byteTokenizer().encode(text)].map((id) => tokens[id] ?? '');
  let at = 0;
  return cuts.map((bytes) => chars.slice(at, (at += bytes)).join(''));
}

describe.each(KINDS)('a tokenizer of Hugging Face tokenizers (%s)', (kind, ignoreMerges) => {
  const { specials, before, cases } = GOLDEN.kinds[kind] as Golden;
  const read = (): Promise<BpeTokenizer> => loadTokenizer(directorySource(`${HERE}${kind}`));

  it('is read as what it is', async () => {
    const tokenizer = await read();
    const { preTokenizer, ignoreMerges: ignores, specialTokens } = tokenizer.vocabulary;
    expect({ preTokenizer, ignores, specialTokens }).toEqual({
      preTokenizer: kind,
      ignores: ignoreMerges,
      specialTokens: specials,
    });
    expect([tokenizer.bosId].filter((id) => id !== null)).toEqual(before);
  });

  it.each([
    ['read', (tokenizer: BpeTokenizer) => tokenizer],
    ['saved and read', resaved],
  ])('encodes and decodes every text as there (%s)', async (_, through) => {
    const tokenizer = through(await read());
    expect(cases.length).toBeGreaterThan(150);
    for (const { text, ids, decoded } of cases) {
      expect({ text, ids: [...tokenizer.encode(text, { parseSpecial: true })] }).toEqual({ text, ids });
      expect({ text, decoded: tokenizer.decode(ids) }).toEqual({ text, decoded: decoded ?? text });
    }
  });

  it('cuts every text where it is cut there', () => {
    const tokenizer = showingPieces(kind, cases.flatMap(piecesOf));
    for (const example of cases) {
      const { text } = example;
      const pieces = [...tokenizer.encode(text)].map((id) => tokenizer.vocabulary.tokens[id]);
      expect({ text, pieces }).toEqual({ text, pieces: piecesOf(example) });
    }
  });

  it('is the same when saved and read', async () => {
    const tokenizer = await read();
    expect(resaved(tokenizer).vocabulary).toEqual(tokenizer.vocabulary);
  });
});
