import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * A full disk is real here: a shell limits the size of files that its child may write (`ulimit -f`, blocks of
 * 1 KiB), and where mounting is allowed a file system of 1 MiB is filled. The child is the built package.
 */
const CHILD = `
  import { FolderArtifactStore } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
  import { readdir } from 'node:fs/promises';
  import { randomBytes } from 'node:crypto';
  const directory = process.argv.at(-1);
  const store = await FolderArtifactStore.open({ directory });
  await store.put(randomBytes(50_000));
  const failure = await store.put(randomBytes(4_000_000)).then(() => 'stored', (error) => error.name + ' ' + error.code);
  const left = await readdir(directory + '/tmp');
  await store.put(randomBytes(60_000));
  console.log(JSON.stringify({ failure, left, ...(await store.usage()) }, (_, v) => typeof v === 'bigint' ? Number(v) : v));
`;

const NODE = `'${process.execPath}' --input-type=module --eval "$CHILD"`;
const MOUNT = 'mount -t tmpfs -o size=1m tmpfs "$DIRECTORY"';
const canMount = await run('unshare', ['-rm', 'bash', '-c', MOUNT], {
  env: { ...process.env, DIRECTORY: tmpdir() },
}).then(
  () => true,
  () => false,
);
const EXPECTED = {
  failure: 'InsufficientStorageError RESOURCE_EXHAUSTED',
  left: [],
  blobs: 2,
  bytes: 110_000,
};

describe('FolderArtifactStore on a full disk', () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'forge-full-'));
  });

  afterAll(() => rm(directory, { recursive: true, force: true }));

  const shell = async (script: string) => {
    const { stdout } = await run('bash', ['-c', script], {
      env: { ...process.env, CHILD, DIRECTORY: directory },
    });
    return JSON.parse(stdout);
  };

  it('refuses with RESOURCE_EXHAUSTED, keeps nothing of it, and goes on (file size limit)', async () => {
    expect(await shell(`ulimit -f 1000; ${NODE} "$DIRECTORY/limited"`)).toEqual(EXPECTED);
  });

  (canMount ? it : it.skip)(
    'refuses with RESOURCE_EXHAUSTED, keeps nothing of it, and goes on (no space left)',
    async () => {
      expect(await shell(`unshare -rm bash -c '${MOUNT} && exec "$0" "$@"' ${NODE} "$DIRECTORY"`)).toEqual(
        EXPECTED,
      );
    },
  );
});
