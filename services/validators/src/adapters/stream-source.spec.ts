import { StreamSource } from './stream-source.js';

const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);

function source(chunkBytes: number) {
  let opened = 0;
  const file = {
    sizeBytes: bytes.length,
    async *open() {
      opened++;
      for (let i = 0; i < bytes.length; i += chunkBytes) yield bytes.subarray(i, i + chunkBytes);
    },
  };
  return { source: new StreamSource(new Map([['f', file]])), opened: () => opened };
}

describe('StreamSource', () => {
  it.each([1, 7, 100])('reads ranges in order from one stream of chunks of %i', async (chunkBytes) => {
    const { source: files, opened } = source(chunkBytes);
    for (const [start, end] of [
      [0, 8],
      [8, 9],
      [20, 55],
      [55, 100],
    ] as const)
      expect(await files.read('f', start, end)).toEqual(bytes.slice(start, end));
    expect(opened()).toBe(1);
  });

  it('starts again for an earlier range, and reads everything by default', async () => {
    const { source: files, opened } = source(9);
    await files.read('f', 50, 60);
    expect(await files.read('f')).toEqual(bytes);
    expect(opened()).toBe(2);
  });

  it('gives what is there for a range beyond the end', async () => {
    expect(await source(9).source.read('f', 95, 200)).toEqual(bytes.slice(95));
  });

  it('knows sizes, and refuses files that are not there', async () => {
    const { source: files } = source(9);
    expect(await files.size('f')).toBe(100);
    expect(await files.size('g')).toBeNull();
    await expect(files.read('g')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
