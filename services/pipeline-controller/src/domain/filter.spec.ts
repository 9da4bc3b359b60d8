import { matches, parseFilter } from './filter.js';

const FIELDS = { state: 'word', name: 'text', phase: 'texts', labels: 'map', create_time: 'time' } as const;
const RUN = {
  state: 'FAILED',
  name: 'nightly "big" run',
  phase: ['cognate', 'evomerge'],
  labels: { team: 'search', 'a.b': 'x' },
  create_time: Date.parse('2026-11-02T00:00:00Z'),
};
const isMatch = (filter: string): boolean => {
  const { terms, problems } = parseFilter(filter, FIELDS);
  expect(problems).toEqual([]);
  return matches(terms, RUN);
};
const problemsOf = (filter: string) =>
  parseFilter(filter, FIELDS).problems.map(({ position, problem }) => `${position}: ${problem}`);

describe('parseFilter(), matches()', () => {
  it.each([
    '',
    '  ',
    'state = FAILED',
    'state="FAILED" AND labels.team = "search"',
    'state != "RUNNING"',
    'phase = evomerge',
    'phase != bitnet',
    'name : "NIGHTLY"',
    'name = "nightly \\"big\\" run"',
    'labels.team:* AND labels.a.b = x',
    'create_time > "2026-11-01T00:00:00Z" AND create_time<="2026-11-02T00:00:00Z"',
  ])('takes %s for the run', (filter) => {
    expect(isMatch(filter)).toBe(true);
  });

  it.each([
    'state = RUNNING',
    'state != FAILED',
    'phase != cognate',
    'labels.owner:*',
    'labels.owner = ""',
    'labels.toString:*',
    'name = nightly',
    'create_time < "2026-11-01T00:00:00Z"',
    'state = FAILED AND phase = bitnet',
  ])('does not take %s', (filter) => {
    expect(isMatch(filter)).toBe(false);
  });

  it.each([
    ['state', '5: an operator (=, !=, <, <=, >, >=, :) is expected, the filter ends'],
    ['= x', '0: a field is expected, found "="'],
    ['state = ', '8: a value is expected, the filter ends'],
    ['state = a state = b', '10: AND is expected, found "state"'],
    ['state = a OR state = b', '10: AND is expected, found "OR"'],
    ['state = a AND', '13: a term is missing after AND'],
    ['state = "a', '8: the text in quotes does not end'],
    ['(state = a)', '0: "(" is not expected here'],
    ['labels = x', '0: unknown field "labels"; known: state, name, phase, labels.KEY, create_time'],
    ['toString = x', '0: unknown field "toString"; known: state, name, phase, labels.KEY, create_time'],
    ['state.x = y', '0: unknown field "state.x"; known: state, name, phase, labels.KEY, create_time'],
    ['name > a', '5: "name" has no order; use = or !='],
    ['state:FAIL', '5: "state" cannot contain; compare it'],
    ['create_time = soon', '14: "soon" is no time; write it like "2026-11-01T00:00:00Z"'],
  ])('says what is wrong with %s, and where', (filter, problem) => {
    expect(problemsOf(filter)[0]).toBe(problem);
  });

  it('reports every term that is wrong', () => {
    expect(problemsOf('x = 1 AND state = a AND y = 2')).toHaveLength(2);
  });

  it('takes a long filter in time that grows with its length only', () => {
    const filter = Array.from({ length: 5_000 }, () => 'state = FAILED').join(' AND ');
    expect(isMatch(filter)).toBe(true);
  });
});
