import type { Philox } from '@agentforge/tensor';

const CELLS = 16;
const GENERATIONS = 4;
const RULES = 256;

/**
 * The generation after `cells` in an elementary cellular automaton on a ring. The oracle of {@link automataText}.
 * @param rule   0 … 255, Wolfram's number: bit 4l + 2c + r is what left, centre and right become
 * @param cells  a string of 0 and 1
 */
export function nextGeneration(rule: number, cells: string): string {
  let next = '';
  for (let i = 0; i < cells.length; i++) {
    const [left, centre, right] = [i - 1, i, i + 1].map((at) => Number(cells.at(at % cells.length)));
    next += (rule >> (4 * (left ?? 0) + 2 * (centre ?? 0) + (right ?? 0))) & 1;
  }
  return next;
}

/** Lines of `rule <n>: <cells> > <cells> > …`: a random row and the generations after it. */
export function automataText(lines: number, rng: Philox): string {
  let text = '';
  for (let i = 0; i < lines; i++) {
    const rule = rng.integer(RULES);
    let cells = Array.from({ length: CELLS }, () => rng.integer(2)).join('');
    text += `rule ${rule}: ${cells}`;
    for (let generation = 1; generation < GENERATIONS; generation++) {
      cells = nextGeneration(rule, cells);
      text += ` > ${cells}`;
    }
    text += '\n';
  }
  return text;
}
