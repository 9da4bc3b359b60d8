import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  ArtifactNotFoundError,
  ArtifactTooLargeError,
  DigestMismatchError,
  digestOf,
  FolderArtifactStore,
  FolderNotEmptyError,
  InvalidDigestError,
  InvalidManifestError,
  UnexpectedDigestError,
} from '../src/index.js';
import { chunks, tempStore } from './stores.js';

describe('FolderArtifactStore', () => {
  let fixture: Awaited<ReturnType<typeof tempStore>>;
  let store: FolderArtifactStore;

  beforeEach(async () => {
    fixture = await tempStore();
    store = fixture.store;
  });

  afterEach(() => fixture.remove());

  const tempFiles = () => readdir(join(fixture.directory, 'tmp'));

  it('stores bytes and streams under their digest and reads them back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 5 }), async (parts) => {
        const whole = Buffer.concat(parts);
        const ref = await store.put(chunks(...parts), { name: 'n', type: 'corpus', mediaType: 'text/plain' });
        expect(ref).toMatchObject({
          digest: digestOf(whole),
          sizeBytes: BigInt(whole.length),
          name: 'n',
          type: 'corpus',
          mediaType: 'text/plain',
        });
        expect(Buffer.from(await store.readBytes(ref.digest))).toEqual(whole);
        expect((await store.put(whole)).digest).toBe(ref.digest);
      }),
      { numRuns: 30 },
    );
    expect(await tempFiles()).toEqual([]);
  });

  it('reads large content in chunks of at most 1 MiB', async () => {
    const content = randomBytes(2.5 * 2 ** 20);
    const { digest } = await store.put(content);
    const sizes: number[] = [];
    for await (const chunk of store.open(digest)) sizes.push(chunk.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2 ** 20);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(content.length);
    expect(Buffer.compare(await store.readBytes(digest), content)).toBe(0);
    await expect(store.readBytes(digest, { maxBytes: 1000 })).rejects.toThrow(ArtifactTooLargeError);
  });

  it('reads text and JSON', async () => {
    const { digest } = await store.put(Buffer.from('{"a":"ä"}'));
    expect(await store.readText(digest)).toBe('{"a":"ä"}');
    expect(await store.readJson(digest)).toEqual({ a: 'ä' });
  });

  it.each([0, 1, 700_000, 1_500_000])('refuses content whose byte %i was changed', async (position) => {
    const content = randomBytes(1_500_001);
    const { digest } = await store.put(content);
    const damaged = Buffer.from(content);
    damaged[position] = (damaged[position] ?? 0) ^ 1;
    await writeFile(fixture.pathOf(digest), damaged);
    let received = 0;
    const read = async () => {
      for await (const chunk of store.open(digest)) received += chunk.length;
    };
    await expect(read()).rejects.toThrow(DigestMismatchError);
    expect(received).toBeLessThan(content.length);
    expect(await store.verify(digest)).toMatchObject({
      valid: false,
      problems: [expect.stringContaining(digest)],
    });
    await store.put(content);
    expect(await store.verify(digest)).toEqual({ valid: true, problems: [], verifiedBytes: 1_500_001n });
  });

  it('refuses truncated content', async () => {
    const { digest } = await store.put(Buffer.from('complete'));
    await writeFile(fixture.pathOf(digest), 'comp');
    await expect(store.readBytes(digest)).rejects.toMatchObject({ code: 'DATA_LOSS' });
  });

  it('keeps nothing of content that fails', async () => {
    const limited = await FolderArtifactStore.open({ directory: fixture.directory, maxBlobBytes: 10 });
    await expect(limited.put(chunks('12345', '67890', 'x'))).rejects.toThrow(ArtifactTooLargeError);
    await expect(store.put(Buffer.from('abc'), { maxBytes: 2 })).rejects.toThrow(ArtifactTooLargeError);
    await expect(
      store.put(Buffer.from('abc'), { expectedDigest: digestOf(Buffer.from('x')) }),
    ).rejects.toThrow(UnexpectedDigestError);
    await expect(store.put(Buffer.from('abc'), { expectedDigest: 'sha256:AB' })).rejects.toThrow(
      InvalidDigestError,
    );
    const broken = async function* () {
      yield Buffer.from('begin');
      throw new Error('source broke');
    };
    await expect(store.put(broken())).rejects.toThrow('source broke');
    await expect(store.put(chunks('a'), { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow(
      'stop',
    );
    expect(await store.usage()).toEqual({ blobs: 0, bytes: 0n });
    expect(await tempFiles()).toEqual([]);
  });

  it('tells what is missing and what is malformed', async () => {
    const absent = digestOf(Buffer.from('absent'));
    await expect(store.readBytes(absent)).rejects.toThrow(ArtifactNotFoundError);
    expect(await store.stat(absent)).toBeUndefined();
    await expect(store.verify(absent)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(store.refresh([absent])).rejects.toMatchObject({ code: 'NOT_FOUND' });
    for (const bad of [
      '',
      'sha256:../../etc/passwd',
      `sha256:${'A'.repeat(64)}`,
      `sha256:${'a'.repeat(63)}`,
      'md5:00',
    ])
      await expect(store.readBytes(bad)).rejects.toThrow(InvalidDigestError);
  });

  it('lets many writers of the same content succeed with one copy, also across stores', async () => {
    const other = await FolderArtifactStore.open({ directory: fixture.directory });
    const content = randomBytes(100_000);
    const refs = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        (i % 2 ? store : other).put(chunks(content.subarray(0, i * 1000), content.subarray(i * 1000))),
      ),
    );
    expect(new Set(refs.map(({ digest }) => digest))).toEqual(new Set([digestOf(content)]));
    expect(await store.usage()).toEqual({ blobs: 1, bytes: 100_000n });
    expect(await tempFiles()).toEqual([]);
  });

  it('removes at start what dead writers left and leaves live ones alone', async () => {
    const temp = join(fixture.directory, 'tmp');
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = async function* () {
      yield Buffer.from('first ');
      await gate;
      yield Buffer.from('second');
    };
    const writing = store.put(slow());
    const [live = ''] = await until(
      () => tempFiles(),
      (names) => names.length === 1,
    );
    const [host] = live.split('-');
    const dead = `${host}-999999999-00000000-0000-4000-8000-000000000000`;
    const foreign = '00000000-1-00000000-0000-4000-8000-000000000000';
    const old = new Date(Date.now() - 3_600_000);
    for (const name of [dead, foreign, 'notes.txt']) {
      await writeFile(join(temp, name), 'left');
      await utimes(join(temp, name), old, old);
    }
    await FolderArtifactStore.open({ directory: fixture.directory });
    expect((await tempFiles()).sort()).toEqual([foreign, live, 'notes.txt'].sort());
    await FolderArtifactStore.open({ directory: fixture.directory, staleTempMs: 60_000 });
    expect((await tempFiles()).sort()).toEqual([live, 'notes.txt'].sort());
    release();
    const { digest } = await writing;
    expect(await store.readText(digest)).toBe('first second');
  });

  describe('manifests', () => {
    const putFiles = async (...texts: string[]) =>
      Promise.all(
        texts.map(async (text) => {
          const { digest, sizeBytes } = await store.put(Buffer.from(text));
          return { path: `${text}.txt`, digest, sizeBytes };
        }),
      );

    it('stores one manifest for the same files in any order, and counts their bytes', async () => {
      const files = await putFiles('b', 'a', 'cc');
      const one = await store.putManifest(
        { files, annotations: { z: '1', a: '2' } },
        { name: 'm', type: 'model' },
      );
      const two = await store.putManifest({ files: files.toReversed(), annotations: { a: '2', z: '1' } });
      expect(two.digest).toBe(one.digest);
      const bytes = await store.readBytes(one.digest);
      expect(one.sizeBytes).toBe(BigInt(bytes.length) + 4n);
      expect(Buffer.from(bytes).toString()).toMatch(
        /^\{"annotations":\{"a":"2","z":"1"\},"files":\[\{"digest":"sha256:/,
      );
      const manifest = await store.getManifest(one.digest);
      expect(manifest.files.map(({ path }) => path)).toEqual(['a.txt', 'b.txt', 'cc.txt']);
      expect(Buffer.from(await store.readFile(one.digest, 'cc.txt')).toString()).toBe('cc');
      await expect(store.readFile(one.digest, 'd.txt')).rejects.toThrow(ArtifactNotFoundError);
    });

    it('refuses a manifest of files that are not stored or of another size', async () => {
      const [file] = await putFiles('a');
      if (!file) throw new Error('no file');
      const absent = { ...file, digest: digestOf(Buffer.from('absent')) };
      await expect(store.putManifest({ files: [absent] })).rejects.toThrow(ArtifactNotFoundError);
      await expect(store.putManifest({ files: [{ ...file, sizeBytes: 2n }] })).rejects.toThrow(
        ArtifactNotFoundError,
      );
      const text = await store.put(Buffer.from('{"files":[]}'));
      await expect(store.getManifest(text.digest)).rejects.toThrow(InvalidManifestError);
    });

    it('finds every problem of a manifest’s files', async () => {
      const files = await putFiles('a', 'b', 'c');
      const ref = await store.putManifest({ files });
      expect(await store.verify(ref.digest)).toMatchObject({ valid: true, verifiedBytes: ref.sizeBytes });
      await writeFile(fixture.pathOf(files[0]?.digest ?? ''), 'x');
      const { rm } = await import('node:fs/promises');
      await rm(fixture.pathOf(files[1]?.digest ?? ''));
      const { valid, problems } = await store.verify(ref.digest);
      expect(valid).toBe(false);
      expect(problems.map((problem) => problem.split(':')[0])).toEqual(['a.txt', 'b.txt']);
    });

    it('turns a folder into a manifest and back', async () => {
      const source = join(fixture.directory, 'source');
      await mkdir(join(source, 'sub', 'deep'), { recursive: true });
      await writeFile(join(source, 'config.json'), '{}');
      await writeFile(join(source, 'sub', 'deep', 'weights.bin'), randomBytes(3000));
      const ref = await store.putFolder(source, { annotations: { kind: 'test' }, type: 'model' });
      const target = join(fixture.directory, 'out', 'model');
      expect(await store.materialise(ref.digest, target)).toEqual(['config.json', 'sub/deep/weights.bin']);
      expect(await readFile(join(target, 'sub', 'deep', 'weights.bin'))).toEqual(
        await readFile(join(source, 'sub', 'deep', 'weights.bin')),
      );
      expect((await store.putFolder(target, { annotations: { kind: 'test' } })).digest).toBe(ref.digest);
      await expect(store.materialise(ref.digest, target)).rejects.toThrow(FolderNotEmptyError);
      await mkdir(join(fixture.directory, 'empty'));
      await store.materialise(ref.digest, join(fixture.directory, 'empty'));
    });

    it('writes nothing when one file is corrupt', async () => {
      const files = await putFiles('a', 'b');
      const ref = await store.putManifest({ files });
      await writeFile(fixture.pathOf(files[1]?.digest ?? ''), 'x');
      const out = join(fixture.directory, 'out');
      await mkdir(out);
      await expect(store.materialise(ref.digest, join(out, 'model'))).rejects.toThrow(DigestMismatchError);
      expect(await readdir(out)).toEqual([]);
    });

    it('refuses links in a folder', async () => {
      const source = join(fixture.directory, 'links');
      await mkdir(source);
      await symlink('/etc/passwd', join(source, 'secret'));
      await expect(store.putFolder(source)).rejects.toThrow(InvalidManifestError);
    });
  });
});

async function until<T>(read: () => Promise<T>, isGood: (value: T) => boolean): Promise<T> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const value = await read();
    if (isGood(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('it did not happen within 5 s');
}
