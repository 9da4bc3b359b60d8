/** Numbers that a seed determines. */
export interface Random {
  between(from: number, to: number): number;
  pick<T>(list: readonly T[]): T;
  chance(probability: number): boolean;
}

export function randomOf(seed: string, name: string): Random;
