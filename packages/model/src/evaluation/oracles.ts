import type { GenerateTask, Match } from './task-file.js';

/** Says whether a generated text answers a task. */
export type Oracle = (text: string, task: GenerateTask) => boolean;

/** Text without the white space that does not matter: at its ends, and more than one in a row. */
function normalized(text: string): string {
  return text.trim().replace(/\s+/gu, ' ');
}

/** The last number of a text, thousands separators left out; null when there is none. */
function lastNumber(text: string): number | null {
  const numbers = text.replace(/(?<=\d),(?=\d{3}(?!\d))/g, '').match(/-?\d+(\.\d+)?(e[+-]?\d+)?/gi);
  return numbers === null ? null : Number(numbers.at(-1));
}

/** The oracles that a task file can ask for. */
export const ORACLES: Readonly<Record<Match, Oracle>> = {
  exact: (text, { answer }) => answer.some((right) => normalized(right) === normalized(text)),
  prefix: (text, { answer }) => answer.some((right) => normalized(text).startsWith(normalized(right))),
  number: (text, { answer }) => {
    const found = lastNumber(text);
    return found !== null && answer.some((right) => lastNumber(right) === found);
  },
};
