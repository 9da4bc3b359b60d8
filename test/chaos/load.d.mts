import type { AppError } from '@agentforge/errors';
import type { AcceptedRun, History } from './checker.mjs';
import type { Graph } from './graphs.mjs';
import type { Random } from './random.mjs';

export function isOfLoad(name: string): boolean;

/** What differs from the usual load. */
export interface LoadOptions {
  readonly graphOf?: (random: Random, runId: string) => Graph;
  readonly isExpected?: (call: 'createRun' | 'watchRun', error: AppError) => boolean;
  readonly deadlineMs?: number;
}

/** Users of the system. */
export class Load {
  readonly accepted: AcceptedRun[];
  readonly seen: History['seen'][number][];
  readonly ended: ReadonlySet<string>;
  readonly surprises: ReadonlyMap<string, number>;
  constructor(server: string, random: Random, options?: LoadOptions);
  run(parallel: number, stop: AbortSignal, giveUp: AbortSignal): Promise<void>;
}
