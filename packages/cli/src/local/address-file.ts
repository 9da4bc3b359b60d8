import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { deadline } from './deadline.js';

const READYZ_TIMEOUT_MS = 2_000;

/** What a service writes when it listens. */
export interface ServiceAddress {
  readonly service: string;
  /** gRPC, "host:port". */
  readonly grpc: string;
  /** HTTP (health and metrics), "host:port". */
  readonly http: string;
  readonly pid: number;
}

/** Waits until the process with this pid has written its address file and answers as ready. */
export async function waitForService(
  file: string,
  pid: number,
  signal: AbortSignal,
): Promise<ServiceAddress> {
  for (;;) {
    signal.throwIfAborted();
    const address = readAddress(file);
    if (address?.pid === pid && (await isReady(address, signal))) return address;
    await sleep(40, undefined, { signal });
  }
}

function readAddress(file: string): ServiceAddress | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ServiceAddress;
  } catch {
    return undefined;
  }
}

async function isReady(address: ServiceAddress, signal: AbortSignal): Promise<boolean> {
  const limit = deadline(READYZ_TIMEOUT_MS, signal);
  try {
    const response = await fetch(`http://${address.http}/readyz`, {
      signal: limit.signal,
      headers: { connection: 'close' },
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  } finally {
    limit.dispose();
  }
}
