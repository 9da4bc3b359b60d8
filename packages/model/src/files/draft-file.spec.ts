import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DraftFile } from './draft-file.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'draft-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const plan = {
  head: Uint8Array.of(9, 9),
  ranges: new Map([
    ['a', { begin: 2, end: 6 }],
    ['b', { begin: 8, end: 10 }],
  ]),
  sizeBytes: 10,
};

describe('DraftFile', () => {
  it('takes parts in any order, several at a time, and appears when it is finished', async () => {
    const path = join(folder, 'new', 'file');
    const draft = await DraftFile.create(path, plan);
    await Promise.all([
      draft.write('b', Uint8Array.of(5, 6)),
      draft.write('a', Uint8Array.of(3, 4), 2),
      draft.write('a', Uint8Array.of(1, 2)),
    ]);
    expect(await readdir(join(folder, 'new'))).toEqual([expect.stringMatching(/^file\..+\.tmp$/)]);
    await draft.finish();
    await draft.discard();
    expect([...(await readFile(path))]).toEqual([9, 9, 1, 2, 3, 4, 0, 0, 5, 6]);
    expect(await readdir(join(folder, 'new'))).toEqual(['file']);
  });

  it('refuses bytes outside of a place, and leaves what was there when it is discarded', async () => {
    const path = join(folder, 'file');
    await writeFile(path, 'before');
    const draft = await DraftFile.create(path, plan);
    await expect(draft.write('a', new Uint8Array(3), 2)).rejects.toThrow(
      'a has 5 bytes, its place in the file 4',
    );
    await expect(draft.write('c', new Uint8Array(1))).rejects.toThrow(RangeError);
    await draft.discard();
    expect(await readFile(path, 'utf8')).toBe('before');
    expect(await readdir(folder)).toEqual(['file']);
  });
});
