export interface BenchStep {
  readonly id: string;
  readonly phase: string;
  readonly after: string[];
}

export function chain(phase: string, length: number, config?: object): { steps: BenchStep[] };
export function lanes(phase: string, count: number, depth: number, config?: object): { steps: BenchStep[] };
