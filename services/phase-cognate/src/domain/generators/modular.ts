import type { Philox } from '@agentforge/tensor';

const MODULI = [5, 7, 11, 13, 17, 19, 23] as const;

const OPERATIONS: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
};

/** Answer of an entry such as `3 * 5 mod 7`, from 0 to the modulus; undefined when it is none. The oracle of {@link modularText}. */
export function solveModular(entry: string): number | undefined {
  const [, a, symbol = '', b, modulus] = /^(\d+) ([-+*]) (\d+) mod (\d+)$/.exec(entry) ?? [];
  const result = OPERATIONS[symbol]?.(Number(a), Number(b));
  if (result === undefined || Number(modulus) === 0) return undefined;
  return ((result % Number(modulus)) + Number(modulus)) % Number(modulus);
}

/** Lines of `entry = answer` from the tables of +, - and * modulo small primes; operands are below the modulus. */
export function modularText(lines: number, rng: Philox): string {
  const symbols = Object.keys(OPERATIONS);
  let text = '';
  for (let i = 0; i < lines; i++) {
    const modulus = MODULI[rng.integer(MODULI.length)] ?? MODULI[0];
    const entry = `${rng.integer(modulus)} ${symbols[rng.integer(symbols.length)]} ${rng.integer(modulus)} mod ${modulus}`;
    text += `${entry} = ${solveModular(entry)}\n`;
  }
  return text;
}
