export const SECTIONS: readonly string[];

export const HELP: string;

export function settingsOf(args: readonly string[]): {
  readonly help: boolean;
  readonly device: 'cpu' | 'cuda';
  readonly sections: readonly string[];
  readonly models: readonly string[];
  readonly threads: number;
  readonly rounds: number;
  readonly precision: 'f32' | 'bf16';
  readonly json?: string;
  readonly svg?: string;
  readonly text?: string;
};
