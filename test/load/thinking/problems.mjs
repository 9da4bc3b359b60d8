import { Philox } from '@agentforge/tensor';

/** Sums of two digits each, `47+85=132`: the carry makes the first digits depend on the last ones. */
function sum(rng) {
  const [a, b] = [10 + rng.integer(90), 10 + rng.integer(90)];
  return { prompt: `${a}+${b}=`, answer: String(a + b) };
}

/** Five digits with + and * modulo 10 from left to right, `6+4*1*3+9=9`: four steps, one after the other. */
function chain(rng) {
  let value = rng.integer(10);
  let prompt = String(value);
  for (let i = 0; i < 4; i++) {
    const digit = rng.integer(10);
    const isSum = rng.integer(2) === 1;
    prompt += `${isSum ? '+' : '*'}${digit}`;
    value = (isSum ? value + digit : value * digit) % 10;
  }
  return { prompt: `${prompt}=`, answer: String(value) };
}

/** Kinds of problems with exact answers. */
export const PROBLEMS = { sum, chain };

/**
 * A text of problems, one a line, and tasks that are not in it.
 * @param kind   of PROBLEMS
 * @param seed   same seed, same problems
 */
export function problemSet(kind, seed, { lines = 6_000, tasks = 300 } = {}) {
  const rng = new Philox(seed).stream(kind);
  const seen = new Set();
  const draw = () => {
    for (;;) {
      const problem = PROBLEMS[kind](rng);
      if (!seen.has(problem.prompt)) {
        seen.add(problem.prompt);
        return problem;
      }
    }
  };
  const text = Array.from({ length: lines }, draw)
    .map(({ prompt, answer }) => `${prompt}${answer}\n`)
    .join('');
  const questions = Array.from({ length: tasks }, draw)
    .map(({ prompt, answer }) => `${JSON.stringify({ type: 'generate', prompt: `\n${prompt}`, answer })}\n`)
    .join('');
  return { text, tasks: questions };
}
