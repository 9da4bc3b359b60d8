import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunningService } from '@agentforge/service-kit';
import { runCommand } from '../src/run-command.js';
import { type FrontDoorState, startFakeFrontDoor } from '../src/testing/fake-front-door.js';
import { type FakeIo, fakeIo } from '../src/testing/fake-io.js';

/** Text that specifications of tests name as `book.txt`. */
const BOOK = 'It was the best of times.\n'.repeat(20);

/** What a command line did. */
export interface Outcome {
  readonly code: number;
  readonly io: FakeIo;
  readonly out: string;
  readonly err: string;
}

/** A folder with files, and `forge` in it. */
export interface ForgeOnFake {
  /** What the front door remembers; a fresh one in each test. */
  readonly state: () => FrontDoorState;
  /** The folder in which commands run. */
  readonly folder: () => string;
  /** Runs a command line: its words, or one text that is split at spaces. */
  readonly forge: (
    line: string | readonly string[],
    options?: { readonly isTTY?: boolean; readonly stdin?: string },
  ) => Promise<Outcome>;
}

/** Starts a fake front door for the tests of a file, and a folder with these files and `book.txt`. */
export function forgeOnFake(files: Readonly<Record<string, string>>): ForgeOnFake {
  let service: RunningService;
  let state: () => FrontDoorState;
  let reset: () => void;
  let folder: string;

  beforeAll(async () => {
    ({ service, state, reset } = await startFakeFrontDoor());
    folder = await mkdtemp(join(tmpdir(), 'forge-cli-'));
    for (const [name, text] of Object.entries({ 'book.txt': BOOK, ...files }))
      await writeFile(join(folder, name), text);
  });
  beforeEach(() => reset());
  afterAll(async () => {
    await service.drain('test');
    await rm(folder, { recursive: true, force: true });
  });

  return {
    state: () => state(),
    folder: () => folder,
    async forge(line, options = {}) {
      const io = fakeIo({ cwd: folder, env: { FORGE_SERVER: service.grpcAddress }, ...options });
      const code = await runCommand(io, typeof line === 'string' ? line.split(' ') : [...line], '1.2.3');
      return { code, io, out: io.out.text, err: io.err.text };
    },
  };
}
