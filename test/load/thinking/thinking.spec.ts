import { meanInterval } from '../mean-interval.mjs';
import { gainFigure } from './gain-figure.mjs';
import { problemSet } from './problems.mjs';

/** Steps and answer of a chain, by going through it. */
function chainOf(prompt: string): { steps: string; answer: string } {
  let value = Number(prompt[0]);
  let steps = `${value}${value}`;
  for (let at = 1; prompt[at] !== '='; at += 2) {
    const digit = Number(prompt[at + 1]);
    value = (prompt[at] === '+' ? value + digit : value * digit) % 5;
    steps += `${digit}${value}`;
  }
  return { steps, answer: String(value) };
}

describe('problemSet()', () => {
  const { lesson, text, tasks } = problemSet('chain', 3, { lines: 400, tasks: 50, worked: 0.5 });
  const promptsOf = (written: string) =>
    written
      .trim()
      .split(/\n+/)
      .map((line) => line.slice(0, line.indexOf('=') + 1));

  it('shows the steps of about the share of the lesson that is asked for, and they lead to the answer', () => {
    const lines = lesson.trim().split('\n');
    let shown = 0;
    for (const line of lines) {
      const prompt = line.slice(0, line.indexOf('=') + 1);
      const { steps, answer } = chainOf(prompt);
      if (line.includes('-')) shown++;
      expect([`${prompt}${answer}`, `${prompt}-${steps}-${answer}`]).toContain(line);
    }
    expect(shown / lines.length).toBeGreaterThan(0.4);
    expect(shown / lines.length).toBeLessThan(0.6);
  });

  it('shows no steps in the text, and asks nothing that was seen', () => {
    expect(text).not.toContain('-');
    const questions = tasks
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { prompt: string; answer: string });
    expect(questions).toHaveLength(50);
    const seen = new Set([...promptsOf(lesson), ...promptsOf(text)]);
    expect(seen.size).toBe(800);
    for (const { prompt, answer } of questions) {
      expect(seen.has(prompt.trim())).toBe(false);
      expect(answer).toBe(chainOf(prompt.trim()).answer);
    }
  });

  it('says every digit of a sum backwards before one of its digits', () => {
    for (const line of problemSet('sum', 1, { lines: 100, tasks: 1, worked: 1 }).lesson.trim().split('\n')) {
      const [, a, b, said, steps, rest] = /^(\d+)\+(\d+)=(\d*)-(\d+)-(\d+)$/.exec(line) ?? [];
      expect(`${said}${rest}`).toBe(String(Number(a) + Number(b)));
      expect(Number([...(steps ?? '')].reverse().join(''))).toBe(Number(a) + Number(b));
    }
  });
});

describe('meanInterval()', () => {
  it("is Student's", () => {
    // R: t.test(c(1, 2, 3, 4, 5))$conf.int: 1.036757 4.963243.
    const { mean, low, high } = meanInterval([1, 2, 3, 4, 5]);
    expect([mean, low, high].map((value) => value.toFixed(3))).toEqual(['3.000', '1.037', '4.963']);
    expect(meanInterval([7])).toEqual({ mean: 7, low: 7, high: 7 });
  });
});

describe('gainFigure()', () => {
  const run = (seed: number, gain: number) => ({
    name: `seed ${seed}`,
    gain,
    gainLow: gain - 0.1,
    gainHigh: gain + 0.1,
    curves: {
      gain: [
        [5, 0],
        [10, gain],
      ] as const,
      reward: [
        [1, 0.2],
        [10, 0.4],
      ] as const,
    },
  });

  it('has a curve for gain and rewards each, a row per run and one for all', () => {
    const runs = [run(1, 0.5), run(2, 1)];
    const svg = gainFigure(runs, { mean: 0.75, low: -0.2, high: 1.4 }, 'a < b');
    const curves = [...svg.matchAll(/<polyline points="([^"]+)"/g)].map(([, points = '']) => points);
    expect(curves).toHaveLength(2);
    // The mean over the runs ends higher than the rewards do.
    const end = (points = '') => Number(points.split(',').at(-1));
    expect(end(curves[0])).toBeLessThan(end(curves[1]));
    expect([...svg.matchAll(/<circle/g)]).toHaveLength(3);
    for (const name of ['seed 1', 'seed 2', 'mean of runs']) expect(svg).toContain(`>${name}</text>`);
    expect(svg).not.toContain('NaN');
  });

  it('draws a single run, and one in which nothing happened', () => {
    const svg = gainFigure([run(1, 0)], { mean: 0, low: 0, high: 0 }, 'flat');
    expect(svg).not.toContain('NaN');
    expect([...svg.matchAll(/<circle/g)]).toHaveLength(2);
  });
});
