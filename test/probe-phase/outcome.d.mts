/** What of a probe's configuration counts for its output. */
export interface ProbeWork {
  readonly units?: number;
  readonly output_bytes?: number;
}

export function firstState(seed: bigint, inputs: readonly string[]): string;
export function nextState(state: string, unit: number): string;
export function reportText(state: string, outputBytes: number, outcome: string): string;
export function expectedDigest(
  config: ProbeWork,
  seed: bigint,
  inputs: readonly string[],
  fallback?: boolean,
): string;
