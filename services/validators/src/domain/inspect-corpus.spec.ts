import { inspectCorpus } from './inspect-corpus.js';

async function* chunks(...parts: (string | number[])[]): AsyncGenerator<Uint8Array> {
  for (const part of parts)
    yield typeof part === 'string' ? new TextEncoder().encode(part) : Uint8Array.from(part);
}

describe('inspectCorpus()', () => {
  it('accepts text, also when a character is cut by a chunk', async () => {
    const [head = 0, ...tail] = new TextEncoder().encode('é');
    expect(await inspectCorpus(chunks('caf', [head], tail))).toEqual({ problems: [], sizeBytes: 5 });
  });

  it.each([
    ['nothing', chunks(), 'is empty'],
    ['blanks', chunks(' \n', '\t'), 'has nothing but blanks'],
    ['a NUL byte', chunks('abc', [100, 0]), 'is not text: byte 4 is NUL'],
    [
      'bytes that are no UTF-8',
      chunks('abc', [0xff, 0xfe]),
      'is not UTF-8: invalid bytes at or after byte 3',
    ],
    ['half a character', chunks('abc', [0xc3]), 'is not UTF-8: it ends in the middle of a character'],
  ])('refuses %s', async (_, body, description) => {
    expect((await inspectCorpus(body)).problems).toEqual([{ field: '', description }]);
  });
});
