import { randomBytes } from 'node:crypto';
import { readdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArtifactNotFoundError, DigestMismatchError, digestOf, FolderArtifactStore } from '../src/index.js';
import { tempStore } from './stores.js';

describe('ArtifactStore.gc()', () => {
  let fixture: Awaited<ReturnType<typeof tempStore>>;
  let store: FolderArtifactStore;

  beforeEach(async () => {
    fixture = await tempStore();
    store = fixture.store;
  });

  afterEach(() => fixture.remove());

  const age = async (digest: string, hours = 48) => {
    const time = new Date(Date.now() - hours * 3_600_000);
    await utimes(fixture.pathOf(digest), time, time);
  };
  const putOld = async (text: string) => {
    const { digest, sizeBytes } = await store.put(Buffer.from(text));
    await age(digest);
    return { path: text, digest, sizeBytes };
  };
  const digests = async () => {
    const all: string[] = [];
    for await (const { digest } of store.list()) all.push(digest);
    return all.sort();
  };
  const DAY_MS = 86_400_000;

  it('keeps live content, the files of live manifests and what is young, and removes the rest', async () => {
    const [a, b, c, d] = [await putOld('a'), await putOld('b'), await putOld('c'), await putOld('d')];
    const manifest = await store.putManifest({ files: [a, b] });
    const dead = await store.putManifest({ files: [b, d] });
    for (const digest of [a.digest, b.digest, d.digest, manifest.digest, dead.digest]) await age(digest);
    const young = await store.put(Buffer.from('young'));
    const live = [manifest.digest, c.digest, digestOf(Buffer.from('never stored'))];
    const dry = await store.gc(live, { minAgeMs: DAY_MS, dryRun: true });
    expect(dry.removed).toBe(2);
    expect(await digests()).toHaveLength(7);
    const result = await store.gc(live, { minAgeMs: DAY_MS });
    expect(result).toEqual(dry);
    expect(result.kept).toBe(5);
    expect(await digests()).toEqual([a.digest, b.digest, c.digest, manifest.digest, young.digest].sort());
    expect((await store.verify(manifest.digest)).valid).toBe(true);
    expect(await readdir(join(fixture.directory, 'trash'))).toEqual([]);
  });

  it('keeps content that was stored again, refreshed or referred to by a new manifest', async () => {
    const [again, refreshed, referred] = [
      await putOld('again'),
      await putOld('refreshed'),
      await putOld('referred'),
    ];
    await store.put(Buffer.from('again'));
    await store.refresh([refreshed.digest]);
    await store.putManifest({ files: [referred] });
    expect((await store.gc([], { minAgeMs: DAY_MS })).removed).toBe(0);
    for (const { digest } of [again, refreshed, referred])
      expect((await store.verify(digest)).valid).toBe(true);
  });

  it('keeps an artifact with its files when asked to, and says what is missing', async () => {
    const [file, other] = [await putOld('file'), await putOld('other')];
    const manifest = await store.putManifest({ files: [file, other] });
    for (const digest of [file.digest, other.digest, manifest.digest]) await age(digest);
    expect(await store.keep(manifest.digest)).toEqual([]);
    expect((await store.gc([], { minAgeMs: DAY_MS })).removed).toBe(0);
    await rm(fixture.pathOf(other.digest));
    expect(await store.keep(manifest.digest)).toEqual([other.digest]);
    const absent = digestOf(Buffer.from('absent'));
    expect(await store.keep(absent)).toEqual([absent]);
  });

  it('removes nothing when a live artifact is corrupt, for its files are unknown', async () => {
    const [file, garbage] = [await putOld('file'), await putOld('garbage')];
    const manifest = await store.putManifest({ files: [file] });
    await age(file.digest);
    await writeFile(fixture.pathOf(manifest.digest), '{"annotations":{},"files":[]}');
    await expect(store.gc([manifest.digest], { minAgeMs: DAY_MS })).rejects.toThrow(DigestMismatchError);
    expect(await store.stat(garbage.digest)).toBeDefined();
  });

  it('brings back what a crashed collection had moved aside', async () => {
    const { digest } = await putOld('needed');
    await rename(fixture.pathOf(digest), join(fixture.directory, 'trash', digest.slice(7)));
    await store.gc([digest], { minAgeMs: DAY_MS });
    expect(await store.readText(digest)).toBe('needed');
  });

  it('lets a reader find content that a collection holds aside for a moment', async () => {
    const { digest } = await putOld('aside');
    const aside = join(fixture.directory, 'trash', digest.slice(7));
    await rename(fixture.pathOf(digest), aside);
    const reading = store.readText(digest);
    setTimeout(() => void rename(aside, fixture.pathOf(digest)), 50);
    expect(await reading).toBe('aside');
  });

  it('never loses content that is stored while collections run', async () => {
    const other = await FolderArtifactStore.open({ directory: fixture.directory });
    const contents = Array.from({ length: 12 }, () => randomBytes(2000));
    let isDone = false;
    let removed = 0;
    const collect = async (from: FolderArtifactStore) => {
      while (!isDone) removed += (await from.gc([], { minAgeMs: 3_600_000 })).removed;
    };
    const collecting = [collect(store), collect(other)];
    for (let round = 0; round < 15; round++) {
      await Promise.all(
        contents.map(async (content) => {
          const ref = await store.put(content);
          expect(Buffer.compare(await other.readBytes(ref.digest), content)).toBe(0);
          // make it collectable and store it again while the collections look at it
          await age(ref.digest).catch(() => undefined);
          const again = await other.put(content);
          expect(Buffer.compare(await store.readBytes(again.digest), content)).toBe(0);
          await age(ref.digest).catch(() => undefined);
        }),
      );
    }
    isDone = true;
    await Promise.all(collecting);
    for (const content of contents) {
      const { digest } = await store.put(content);
      expect((await store.verify(digest)).valid).toBe(true);
    }
    expect(removed).toBeGreaterThan(0);
    await expect(store.readBytes(digestOf(Buffer.from('never')))).rejects.toThrow(ArtifactNotFoundError);
  });
});
