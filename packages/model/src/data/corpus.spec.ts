import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { corpusFromBytes } from './corpus.js';
import { readCorpus } from './read-corpus.js';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function fileOf(name: string, text: string): { name: string; bytes: Uint8Array } {
  return { name, bytes: encode(text) };
}

describe('corpusFromBytes()', () => {
  it('orders files by name, drops repeated and blank texts, counts bytes', () => {
    const corpus = corpusFromBytes([
      fileOf('b.md', 'second é'),
      fileOf('a.txt', 'first'),
      fileOf('c.txt', 'first'),
      fileOf('d.txt', ' \n'),
    ]);
    expect(corpus.documents.map(({ name }) => name)).toEqual(['a.txt', 'b.md']);
    expect(corpus.sizeBytes).toBe(5 + 9);
    expect(corpus.duplicatesDropped).toBe(1);
  });

  it('has a digest of the texts, not of their names', () => {
    const digest = (files: { name: string; bytes: Uint8Array }[]): string => corpusFromBytes(files).digest;
    expect(digest([fileOf('x.txt', 'one'), fileOf('y.txt', 'two')])).toBe(
      digest([fileOf('1.txt', 'one'), fileOf('2.txt', 'two')]),
    );
    expect(digest([fileOf('x.txt', 'onetwo')])).not.toBe(
      digest([fileOf('x.txt', 'one'), fileOf('y.txt', 'two')]),
    );
  });

  it('reads a document from every line of a JSONL file', () => {
    const lines = '{"text": "one"}\n"two"\n\n{"body": "x", "text": "three"}\n';
    const corpus = corpusFromBytes([fileOf('d.jsonl', lines)]);
    expect(corpus.documents).toEqual([
      { name: 'd.jsonl#1', text: 'one' },
      { name: 'd.jsonl#2', text: 'two' },
      { name: 'd.jsonl#4', text: 'three' },
    ]);
    const other = corpusFromBytes([fileOf('d.jsonl', '{"question": "why"}')], { textField: 'question' });
    expect(other.documents[0]?.text).toBe('why');
  });

  it('names every unreadable file at once', () => {
    const files = [
      { name: 'binary.txt', bytes: Uint8Array.of(65, 0, 66) },
      { name: 'latin1.txt', bytes: Uint8Array.of(0x63, 0x61, 0x66, 0xe9) },
      fileOf('broken.jsonl', '{"text": "ok"}\n{"text": \n[1]'),
      fileOf('good.txt', 'fine'),
    ];
    expect(() => corpusFromBytes(files)).toThrow(
      expect.objectContaining({
        name: 'UnreadableCorpusError',
        code: 'INVALID_ARGUMENT',
        fieldViolations: [
          { field: 'binary.txt', description: 'is binary: byte 1 of 3 is zero' },
          { field: 'broken.jsonl:2', description: expect.stringContaining('is not JSON') },
          { field: 'broken.jsonl:3', description: expect.stringContaining('"text"') },
          { field: 'latin1.txt', description: 'is not UTF-8 text (4 bytes)' },
        ],
      }),
    );
  });

  it.each([[[]], [[fileOf('a.txt', '')]], [[fileOf('a.txt', ' \n\t')]]])(
    'throws EmptyCorpusError (%#)',
    (files) => {
      expect(() => corpusFromBytes(files)).toThrow(expect.objectContaining({ name: 'EmptyCorpusError' }));
    },
  );

  it('throws CorpusTooLargeError with both sizes', () => {
    expect(() => corpusFromBytes([fileOf('a.txt', 'x'.repeat(11))], { maxBytes: 10 })).toThrow(
      /11 bytes.*10/,
    );
  });
});

describe('readCorpus()', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'corpus-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('reads text files at any depth, without dot-files, links and other endings', async () => {
    await mkdir(join(directory, 'deep', '.hidden'), { recursive: true });
    await writeFile(join(directory, 'deep', 'a.md'), 'deep text');
    await writeFile(join(directory, 'b.TXT'), 'top text');
    await writeFile(join(directory, 'deep', '.hidden', 'c.md'), 'hidden');
    await writeFile(join(directory, 'image.png'), Uint8Array.of(0));
    await symlink('/etc/hostname', join(directory, 'link.txt'));
    const corpus = await readCorpus([directory]);
    expect(corpus.documents.map(({ text }) => text)).toEqual(['top text', 'deep text']);
  });

  it('reads a named file whatever its ending', async () => {
    await writeFile(join(directory, 'notes'), 'text');
    expect((await readCorpus([join(directory, 'notes')])).documents).toHaveLength(1);
  });

  it('throws for a missing path, an empty folder and too many bytes', async () => {
    await expect(readCorpus([join(directory, 'none')])).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(readCorpus([directory])).rejects.toMatchObject({ name: 'EmptyCorpusError' });
    await writeFile(join(directory, 'a.txt'), 'x'.repeat(100));
    await expect(readCorpus([directory], { maxBytes: 99 })).rejects.toMatchObject({
      name: 'CorpusTooLargeError',
    });
  });
});
