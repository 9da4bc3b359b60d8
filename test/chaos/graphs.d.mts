import type { CachePolicy } from '@agentforge/contracts';
import type { Random } from './random.mjs';

/** A graph of probes, as a request carries it. */
export interface Graph {
  readonly seed: bigint;
  readonly steps: readonly {
    readonly id: string;
    readonly phase: string;
    readonly config: {
      readonly units: number;
      readonly output_bytes: number;
      /** Absent: the work is in no journal. */
      readonly journal_key?: string;
      readonly fail_first?: number;
      readonly fail_at?: number;
      readonly fail_class?: 'transient' | 'permanent';
      readonly crashes?: number;
    };
    /** Of its own; otherwise that of the graph and its id count. */
    readonly seed?: bigint;
    readonly resources?: { readonly cpu: number };
    readonly allowFallback?: boolean;
    readonly cache?: CachePolicy;
    readonly inputs: readonly {
      readonly port: string;
      readonly source: {
        readonly case: 'stepOutput';
        readonly value: { readonly stepId: string; readonly output: string };
      };
    }[];
  }[];
}

/** What a user does with a run besides watching it. */
export interface Wishes {
  readonly pause?: { readonly afterMs: number; readonly forMs: number };
  readonly cancelAfterMs?: number;
}

export function randomGraph(random: Random, runId: string): Graph;
export function randomWishes(random: Random): Wishes;
export function isHopeless(step: Graph['steps'][number]): boolean;
export function journalKey(runId: string, stepId: string): string;
