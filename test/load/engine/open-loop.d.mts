import type { Samples } from './samples.mjs';

export interface OpenLoop {
  readonly rate: number;
  readonly durationMs: number;
  readonly send: (i: number) => Promise<unknown>;
  readonly startAt?: number;
  readonly drainMs?: number;
  readonly maxOpen?: number;
}

export interface OpenLoopResult {
  readonly latencies: Samples;
  readonly answeredLatencies: Samples;
  readonly lags: Samples;
  readonly failures: Map<string, number>;
  readonly total: number;
  readonly answered: number;
  readonly achievedRate: number;
}

export interface Time {
  now(): number;
  sleep(ms: number): Promise<unknown>;
}

export function openLoop(options: OpenLoop, time?: Time): Promise<OpenLoopResult>;
