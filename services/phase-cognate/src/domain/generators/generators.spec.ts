import { Philox } from '@agentforge/tensor';
import { arithmeticText, solve } from './arithmetic.js';
import { automataText, nextGeneration } from './automata.js';
import { GENERATOR_NAMES, GENERATORS } from './generators.js';
import { modularText, solveModular } from './modular.js';
import { recallCode, recallText } from './recall.js';

describe('arithmeticText()', () => {
  it.each([
    ['17 * 4', 68],
    ['5 - 9', -4],
    ['999 + 1', 1000],
    ['57 mod 10', 7],
  ])('knows that %s = %d', (problem, answer) => {
    expect(solve(problem)).toBe(answer);
  });

  it('writes right answers only, of every operation', () => {
    const lines = arithmeticText(2000, new Philox(3)).trimEnd().split('\n');
    expect(lines).toHaveLength(2000);
    const seen = new Set<string>();
    for (const line of lines) {
      const [problem = '', answer] = line.split(' = ');
      expect(String(solve(problem))).toBe(answer);
      seen.add(problem.split(' ')[1] ?? '');
    }
    expect([...seen].sort()).toEqual(['*', '+', '-', 'mod']);
  });
});

describe('modularText()', () => {
  it.each([
    ['3 * 5 mod 7', 1],
    ['2 - 5 mod 11', 8],
    ['12 + 12 mod 13', 11],
    ['2 / 5 mod 7', undefined],
    ['2 + 5', undefined],
  ])('knows that %s = %s', (entry, answer) => {
    expect(solveModular(entry)).toBe(answer);
  });

  it('writes right answers only, of every operation', () => {
    const lines = modularText(500, new Philox(3)).trimEnd().split('\n');
    for (const line of lines) {
      const [entry = '', answer] = line.split(' = ');
      expect(String(solveModular(entry))).toBe(answer);
    }
    expect(new Set(lines.map((line) => line.split(' ')[1]))).toEqual(new Set(['+', '-', '*']));
  });
});

describe('automataText()', () => {
  it.each([
    // Rule 90 is the exclusive or of the neighbours, rule 204 changes nothing, rule 170 shifts to the left.
    [90, '00010000', '00101000'],
    [204, '01101001', '01101001'],
    [170, '01101001', '11010010'],
    [110, '00000001', '00000011'],
  ])('rule %d makes %s into %s', (rule, cells, next) => {
    expect(nextGeneration(rule, cells)).toBe(next);
  });

  it('writes generations that follow from each other', () => {
    for (const line of automataText(200, new Philox(3)).trimEnd().split('\n')) {
      const [head = '', rows = ''] = line.split(': ');
      const generations = rows.split(' > ');
      expect(generations).toHaveLength(4);
      for (const [i, cells] of generations.slice(1).entries())
        expect(cells).toBe(nextGeneration(Number(head.replace('rule ', '')), generations[i] ?? ''));
    }
  });
});

describe('recallText()', () => {
  it('asks for codes that were said, at distances that differ', () => {
    const distances = new Set<number>();
    for (const line of recallText(300, new Philox(3)).trimEnd().split('\n')) {
      const [, story = '', name = '', answer = ''] = /^(.*) The code of (\w+)\? (\d{4})$/.exec(line) ?? [];
      expect(story).toContain(`The code of ${name} is ${answer}.`);
      expect(recallCode(story, name)).toBe(answer);
      distances.add(story.length - story.indexOf(`${name} is`));
    }
    expect(distances.size).toBeGreaterThan(50);
  });

  it('has no code for a name that was not mentioned', () => {
    expect(recallCode('The code of amber is 1234.', 'cedar')).toBeUndefined();
  });
});

it.each(GENERATOR_NAMES)('%s is a function of the seed, of a few hundred kilobytes', (name) => {
  const text = GENERATORS[name](new Philox(1));
  expect(GENERATORS[name](new Philox(1))).toBe(text);
  expect(GENERATORS[name](new Philox(2))).not.toBe(text);
  expect(text.length).toBeGreaterThan(200_000);
  expect(text.length).toBeLessThan(600_000);
});
