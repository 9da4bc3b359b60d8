import type { Philox } from '@agentforge/tensor';

/** The operations, each with its exact answer. */
const OPERATIONS = [
  { symbol: '+', largest: 999, solve: (a: number, b: number) => a + b },
  { symbol: '-', largest: 999, solve: (a: number, b: number) => a - b },
  { symbol: '*', largest: 99, solve: (a: number, b: number) => a * b },
  { symbol: 'mod', largest: 99, solve: (a: number, b: number) => a % b },
] as const;

/** Answer of a problem such as `17 * 4`; undefined when it is none. The oracle of what {@link arithmeticText} writes. */
export function solve(problem: string): number | undefined {
  const [, a, symbol, b] = /^(\d+) (\S+) (\d+)$/.exec(problem) ?? [];
  const operation = OPERATIONS.find((one) => one.symbol === symbol);
  return operation?.solve(Number(a), Number(b));
}

/** Lines of `problem = answer`, one problem each, drawn evenly over operations and operands ≥ 1. */
export function arithmeticText(lines: number, rng: Philox): string {
  let text = '';
  for (let i = 0; i < lines; i++) {
    const { symbol, largest } = OPERATIONS[rng.integer(OPERATIONS.length)] ?? OPERATIONS[0];
    const problem = `${1 + rng.integer(largest)} ${symbol} ${1 + rng.integer(largest)}`;
    text += `${problem} = ${solve(problem)}\n`;
  }
  return text;
}
