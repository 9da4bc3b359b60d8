import type { Random } from './random.mjs';

/** A graph of probes, as a request carries it. */
export interface Graph {
  readonly seed: bigint;
  readonly steps: readonly {
    readonly id: string;
    readonly phase: string;
    readonly config: { readonly units: number; readonly output_bytes: number; readonly journal_key: string };
    readonly inputs: readonly {
      readonly port: string;
      readonly source: {
        readonly case: 'stepOutput';
        readonly value: { readonly stepId: string; readonly output: string };
      };
    }[];
  }[];
}

export function randomGraph(random: Random, runId: string): Graph;
export function journalKey(runId: string, stepId: string): string;
