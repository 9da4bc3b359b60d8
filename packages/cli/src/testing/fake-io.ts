import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Io } from '../session.js';
import { FakeTerminal } from './fake-terminal.js';

/** A world for tests: recorded output, an empty environment, no profiles, no server. */
export interface FakeIo extends Io {
  readonly out: FakeTerminal;
  readonly err: FakeTerminal;
  readonly interrupt: AbortController;
}

/** A fake world; pass what differs. */
export function fakeIo(
  options: Partial<Pick<Io, 'env' | 'cwd' | 'root'>> & { stdin?: string; isTTY?: boolean } = {},
): FakeIo {
  const interrupt = new AbortController();
  const isTTY = options.isTTY ?? false;
  return {
    out: new FakeTerminal({ isTTY }),
    err: new FakeTerminal({ isTTY }),
    env: { FORGE_CONFIG: join(tmpdir(), 'forge-no-such-config.yaml'), ...options.env },
    cwd: options.cwd ?? tmpdir(),
    root: options.root ?? fileURLToPath(new URL('../../../..', import.meta.url)),
    readStdin: async () => options.stdin ?? '',
    interruption: () => interrupt.signal,
    interrupt,
  };
}
