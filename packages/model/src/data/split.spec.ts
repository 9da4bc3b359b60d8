import fc from 'fast-check';
import { corpusFromBytes } from './corpus.js';
import { ngramOverlap, removeOverlap } from './overlap.js';
import { splitCorpus, splitOf } from './split.js';

function corpusOf(texts: readonly string[]) {
  const digits = String(texts.length).length;
  const files = texts.map((text, i) => ({
    name: `${String(i).padStart(digits, '0')}.txt`,
    bytes: new TextEncoder().encode(text),
  }));
  return corpusFromBytes(files);
}

const words = (count: number, salt: string): string =>
  Array.from({ length: count }, (_, i) => `${salt}${i}`).join(' ');

describe('splitCorpus()', () => {
  it('cuts one document by position: the last tenth is the report', () => {
    const text = Array.from({ length: 1000 }, (_, i) => `line ${String(i).padStart(4, '0')}\n`).join('');
    const { train, fitness, report } = splitCorpus(corpusOf([text]));
    expect([train.sizeBytes, fitness.sizeBytes, report.sizeBytes]).toEqual([8000, 1000, 1000]);
    expect(train.documents[0]?.endsWith('line 0799\n')).toBe(true);
    expect(report.documents[0]?.startsWith('line 0900\n')).toBe(true);
  });

  it('loses and repeats nothing, and cuts no character', () => {
    const texts = fc.uniqueArray(
      fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => text.trim() !== ''),
      { minLength: 1, maxLength: 30, selector: (text) => text },
    );
    fc.assert(
      fc.property(texts, (list) => {
        const corpus = corpusOf(list);
        const { train, fitness, report } = splitCorpus(corpus, { minDocumentsToMix: 1000 });
        const joined = [train, fitness, report].flatMap(({ documents }) => documents).join('');
        expect(joined).toBe(corpus.documents.map(({ text }) => text).join(''));
        expect(train.sizeBytes + fitness.sizeBytes + report.sizeBytes).toBe(corpus.sizeBytes);
      }),
    );
  });

  it('mixes many documents by their text, not by their names', () => {
    const texts = Array.from({ length: 100 }, (_, i) => words(20, `w${i}x`));
    const split = splitCorpus(corpusOf(texts));
    expect(splitCorpus(corpusOf([...texts].reverse()))).toEqual(split);
    expect(split.report.documents).not.toEqual(texts.slice(-split.report.documents.length));
    expect(Math.abs(split.report.sizeBytes / (0.1 * corpusOf(texts).sizeBytes) - 1)).toBeLessThan(0.1);
  });

  it('can leave the fitness split out', () => {
    const { fitness, report } = splitCorpus(corpusOf([words(1000, 'w')]), {
      fractions: { train: 0.9, fitness: 0 },
    });
    expect(fitness.documents).toEqual([]);
    expect(report.sizeBytes).toBeGreaterThan(0);
  });
});

describe('ngramOverlap()', () => {
  const train = splitOf('train', [`${words(50, 'a')} ${words(20, 'shared')}`]);

  it('counts the n-grams both have, case and punctuation aside', () => {
    const heldOut = splitOf('report', [`${words(13, 'SHARED').replaceAll(' ', ', ')}. ${words(13, 'b')}`]);
    expect(ngramOverlap(train, heldOut)).toEqual({ heldOutNgrams: 14, overlapping: 1, fraction: 1 / 14 });
  });

  it('is zero for different texts and for texts shorter than n', () => {
    expect(ngramOverlap(train, splitOf('report', [words(40, 'c')])).overlapping).toBe(0);
    expect(ngramOverlap(train, splitOf('report', ['a0 a1'])).fraction).toBe(0);
  });

  it('does not join documents', () => {
    const heldOut = splitOf('report', [words(12, 'shared'), `shared12 ${words(5, 'd')}`]);
    expect(ngramOverlap(train, heldOut).overlapping).toBe(0);
  });
});

describe('removeOverlap()', () => {
  it('drops the paragraphs that were copied, also across a paragraph end, and keeps the others', () => {
    const train = splitOf('train', [words(60, 'a')]);
    const copied = `${words(7, 'a')}\n\n${words(60, 'a').split(' ').slice(7, 20).join(' ')}\n\n`;
    const heldOut = splitOf('report', [`${words(30, 'own')}\n\n${copied}${words(30, 'last')}\n`]);
    const { split, removedBytes } = removeOverlap(heldOut, train);
    expect(split.documents).toEqual([`${words(30, 'own')}\n\n${words(30, 'last')}\n`]);
    expect(removedBytes).toBe(copied.length);
    expect(ngramOverlap(train, split).overlapping).toBe(0);
  });

  it('leaves a clean split as it is', () => {
    const heldOut = splitOf('report', [words(30, 'b')]);
    expect(removeOverlap(heldOut, splitOf('train', [words(30, 'a')]))).toEqual({
      split: heldOut,
      removedBytes: 0,
    });
  });
});
