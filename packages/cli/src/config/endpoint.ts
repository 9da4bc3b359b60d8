import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isAlive } from '../local/folder-lock.js';

/** What a local stack writes about itself. */
export interface LocalEndpoint {
  /** The front door, "host:port". */
  readonly server: string;
  /** Process that keeps the stack alive. */
  readonly pid: number;
  /** The file it was read from. */
  readonly file: string;
}

/** The local stack that runs in this folder or the nearest one above it; one whose process is gone does not count. */
export function findLocalEndpoint(cwd: string): LocalEndpoint | undefined {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const endpoint = readEndpoint(join(folder, '.forge', 'endpoint.json'));
    if (endpoint && isAlive(endpoint.pid)) return endpoint;
    if (folder === dirname(folder)) return undefined;
  }
}

function readEndpoint(file: string): LocalEndpoint | undefined {
  try {
    const { server, pid } = JSON.parse(readFileSync(file, 'utf8')) as Partial<LocalEndpoint>;
    return server !== undefined && pid !== undefined ? { server, pid, file } : undefined;
  } catch {
    return undefined;
  }
}
