import type { AppError } from '@agentforge/errors';
import type { AcceptedRun, Command, History, Surprise } from './checker.mjs';
import type { Graph, Wishes } from './graphs.mjs';
import type { Random } from './random.mjs';

export function isOfLoad(name: string): boolean;

/** What differs from the usual load. */
export interface LoadOptions {
  readonly graphOf?: (random: Random, runId: string) => Graph;
  readonly wishesOf?: (random: Random) => Wishes;
  readonly isExpected?: (call: 'createRun' | 'watchRun' | Command, error: AppError) => boolean;
  readonly deadlineMs?: number;
}

/** Users of the system. */
export class Load {
  readonly accepted: AcceptedRun[];
  readonly seen: History['seen'][number][];
  readonly ended: ReadonlySet<string>;
  readonly surprises: ReadonlyMap<string, Surprise>;
  constructor(server: string, random: Random, options?: LoadOptions);
  run(parallel: number, stop: AbortSignal, giveUp: AbortSignal): Promise<void>;
}
