import { Philox } from '@agentforge/tensor';

/** What stands before and after shown steps: the text that the marks of a thought begin as, in one character. */
const DASH = '-';

/**
 * Sums of three digits each, `471+855=1326`: the carry makes the first digits depend on the last ones. Steps: the digits of the
 * sum from the last to the first, `6231`.
 */
function sum(rng) {
  const [a, b] = [100 + rng.integer(900), 100 + rng.integer(900)];
  const answer = String(a + b);
  return { prompt: `${a}+${b}=`, answer, steps: answer.padStart(4, '0').split('').reverse().join('') };
}

/** Operations that permute the residues of 5, so that no step of a chain can be left out. */
const OPERATIONS = [
  { sign: '+', digits: [1, 2, 3, 4], apply: (value, digit) => (value + digit) % 5 },
  { sign: '*', digits: [2, 3, 4], apply: (value, digit) => (value * digit) % 5 },
];

/**
 * A digit and five operations on it modulo 5 from left to right, `3+4*3*2+1*4=2`: no operation can be done before the one to its
 * left. Each step is said as the digit that it takes and what it gives, the first digit being given as it is: `334231221342`.
 */
function chain(rng) {
  let value = rng.integer(5);
  let prompt = String(value);
  let steps = `${value}${value}`;
  for (let i = 0; i < 5; i++) {
    const { sign, digits, apply } = OPERATIONS[rng.integer(2)];
    const digit = digits[rng.integer(digits.length)];
    value = apply(value, digit);
    prompt += `${sign}${digit}`;
    steps += `${digit}${value}`;
  }
  return { prompt: `${prompt}=`, answer: String(value), steps };
}

/** Problems between two blank lines: digits repeat by chance, and the check for copied text takes out whole paragraphs. */
const PARAGRAPH = 8;

/** Kinds of problems with exact answers. */
export const PROBLEMS = { sum, chain };

/**
 * Texts of problems, one a line, and tasks that are in neither.
 * @param kind    of PROBLEMS
 * @param seed    same seed, same problems
 * @param worked  share of the lines of `lesson` that show their steps, before a digit of the answer: `3+4*3*2+1*4=-334231221342-2`
 * @returns lesson  what a model learns before it thinks
 *          text    problems without steps: what it thinks about
 *          tasks   JSON lines
 */
export function problemSet(kind, seed, { lines = 6_000, tasks = 300, worked = 0 } = {}) {
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
  const plain = ({ prompt, answer }) => `${prompt}${answer}\n`;
  const shown = ({ prompt, answer, steps }) => {
    const at = rng.integer(answer.length);
    return `${prompt}${answer.slice(0, at)}${DASH}${steps}${DASH}${answer.slice(at)}\n`;
  };
  const written = (write) => Array.from({ length: lines }, (_, i) => write(draw(), i));
  const lesson = written((problem) => (rng.float() < worked ? shown(problem) : plain(problem))).join('');
  const text = written((problem, i) => (i % PARAGRAPH === 0 ? '\n' : '') + plain(problem)).join('');
  const questions = Array.from({ length: tasks }, draw)
    .map(({ prompt, answer }) => `${JSON.stringify({ type: 'generate', prompt: `\n${prompt}`, answer })}\n`)
    .join('');
  return { lesson, text, tasks: questions };
}
