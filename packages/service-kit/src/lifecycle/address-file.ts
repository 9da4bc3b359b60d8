import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** What a started service tells its supervisor. */
export interface Announcement {
  readonly service: string;
  /** `host:port` of the gRPC server. */
  readonly grpc: string;
  /** `host:port` of /metrics, /livez and /readyz. */
  readonly http: string;
  readonly pid: number;
}

/** Writes the announcement so that a reader sees all of it or nothing. */
export function writeAddressFile(path: string, announcement: Announcement): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(announcement)}\n`);
  renameSync(temporary, path);
}
