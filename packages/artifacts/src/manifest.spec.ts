import { posix, resolve, sep, win32 } from 'node:path';
import fc from 'fast-check';
import {
  assertManifestPath,
  decodeManifest,
  digestOf,
  encodeManifest,
  InvalidManifestError,
  type ManifestInit,
  toManifest,
} from './index.js';

const digest = digestOf(Buffer.from('x'));
const fileAt = (path: string) => ({ path, digest, sizeBytes: 1n });
const isAccepted = (path: string) => {
  try {
    assertManifestPath(path);
    return true;
  } catch (error) {
    if (error instanceof InvalidManifestError) return false;
    throw error;
  }
};

/** Paths made of what is dangerous. */
const nasty = fc
  .array(
    fc.constantFrom(
      '..',
      '.',
      '',
      '/',
      '\\',
      'a',
      'C:',
      '\u0000',
      '%2e%2e',
      '~',
      ' ',
      'é',
      'e\u0301',
      '\ud800',
      '\n',
    ),
    {
      maxLength: 8,
    },
  )
  .chain((parts) => fc.constantFrom(parts.join('/'), parts.join(''), parts.join('\\')));

describe('assertManifestPath()', () => {
  it('accepts nothing that leaves its folder, on any system', () => {
    fc.assert(
      fc.property(fc.oneof(nasty, fc.string({ unit: 'binary' }), fc.webPath()), (path) => {
        if (!isAccepted(path)) return;
        expect(posix.resolve('/root/folder', path).startsWith('/root/folder/')).toBe(true);
        expect(win32.resolve('C:\\root\\folder', path).startsWith('C:\\root\\folder\\')).toBe(true);
        expect(posix.normalize(path)).toBe(path);
        expect(resolve('folder', path).split(sep).length).toBeGreaterThan(
          resolve('folder').split(sep).length,
        );
        expect(path).not.toMatch(/[\p{Cc}\\]/u);
      }),
      { numRuns: 3000 },
    );
  });

  it.each(['a', 'a/b.txt', 'model.safetensors', 'a b/ü/…', '...', 'a..b', '.hidden', `${'x'.repeat(255)}/y`])(
    'accepts %j',
    (path) => expect(isAccepted(path)).toBe(true),
  );

  it.each([
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    'a/../b',
    'a\\b',
    'a\u0000b',
    'C:/x',
    'x'.repeat(256),
    'y/'.repeat(300),
    'e\u0301',
  ])('refuses %j', (path) => expect(isAccepted(path)).toBe(false));
});

describe('toManifest()', () => {
  it('orders files, and survives encoding and decoding', () => {
    const name = fc.stringMatching(/^[a-z]{1,8}$/);
    const init = fc.record({
      files: fc.uniqueArray(name, { minLength: 1, maxLength: 20 }).map((names) => names.map(fileAt)),
      annotations: fc.dictionary(name, fc.string(), { maxKeys: 5 }),
    });
    fc.assert(
      fc.property(init, (value: ManifestInit) => {
        const manifest = toManifest(value);
        const bytes = encodeManifest(manifest);
        expect(decodeManifest(bytes)).toEqual(manifest);
        expect(encodeManifest(toManifest({ ...value, files: value.files.toReversed() }))).toEqual(bytes);
        const paths = manifest.files.map(({ path }) => path);
        expect(paths).toEqual(paths.toSorted());
      }),
    );
  });

  it.each<[string, ManifestInit]>([
    ['no files', { files: [] }],
    ['a path twice', { files: [fileAt('a'), fileAt('a')] }],
    ['a file above a file', { files: [fileAt('a/b'), fileAt('a')] }],
    ['a bad digest', { files: [{ ...fileAt('a'), digest: 'sha256:1' }] }],
    ['a negative size', { files: [{ ...fileAt('a'), sizeBytes: -1n }] }],
    ['too many files', { files: Array.from({ length: 10_001 }, (_, i) => fileAt(`f${i}`)) }],
    ['a bad annotation key', { files: [fileAt('a')], annotations: { 'Not-Snake': '' } }],
    ['a huge annotation', { files: [fileAt('a')], annotations: { a: 'x'.repeat(20_000) } }],
  ])('refuses %s', (_, init) => expect(() => toManifest(init)).toThrow(InvalidManifestError));

  it.each([
    '',
    '[]',
    '{}',
    'null',
    '{"files":[],"annotations":{}}',
    `{"annotations":{},"files":[{"path":"../x","digest":"${digest}","sizeBytes":1}]}`,
    `{"annotations":{},"files":[{"path":"x","digest":"${digest}","sizeBytes":1.5}]}`,
    '{"annotations":{},"files":[],"more":1}',
    '\ufffe',
  ])('refuses the bytes %j', (text) =>
    expect(() => decodeManifest(Buffer.from(text))).toThrow(InvalidManifestError),
  );
});
