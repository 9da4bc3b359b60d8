import type { History } from './checker.mjs';

/** Reads the log of the load's runs as it is committed. */
export class Witness {
  readonly seen: History['seen'][number][];
  start(natsUrl: string): Promise<void>;
  stop(): Promise<void>;
}

export function readHistory(places: {
  readonly natsUrl: string;
  readonly artifactDir: string;
  readonly journalDir: string;
}): Promise<Pick<History, 'batches' | 'checkpointUnits' | 'journal'>>;
