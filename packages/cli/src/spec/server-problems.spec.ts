import { createStyle } from '../output/style.js';
import { renderProblems } from './render-problems.js';
import { parseRunSpec } from './run-spec.js';
import { locateViolations } from './server-problems.js';

const TEXT = `name: test
steps:
  - id: founders
    phase: cognate
    config:
      preset: pico
      populaton: 4
  - id: evolve
    phase: evomerge
    inputs:
      models: { from: founders.models }
      corpus: { file: book.txt }
    timeouts:
      start_to_close: 3s
`;

describe('locateViolations()', () => {
  const { spec, document } = parseRunSpec(TEXT);

  it.each([
    ['steps[0].config.preset', 'must be nano', 6, 15],
    ['graph.steps[0].config.populaton', 'unknown field "populaton"', 7, 7],
    ['steps[1].inputs[0].source', 'wrong type', 11, 7],
    ['steps[1].inputs.corpus', 'wrong type', 12, 7],
    ['steps[1].timeouts.startToClose', 'too short', 14, 23],
    ['steps[0].config.missing', 'is required', 5, 5],
    ['/steps/0/phase', 'unknown phase', 4, 12],
    ['steps[founders].phase', 'unknown phase', 4, 12],
    ['displayName', 'too long', 1, 7],
  ])('finds %s', (field, description, line, column) => {
    if (!spec) throw new Error('the specification is valid');
    const [problem] = locateViolations(document, spec, [{ field, description }]);
    expect(problem?.position).toEqual({ line, column });
    expect(problem?.message).toBe(description);
  });

  it('is shown with the line of the file and a mark', () => {
    if (!spec) throw new Error('the specification is valid');
    const problems = locateViolations(document, spec, [
      { field: 'steps[0].config.preset', description: '"pico" is not available' },
    ]);
    expect(renderProblems('spec.yaml', TEXT, problems, createStyle(false))).toBe(
      [
        'spec.yaml:6:15: error: steps[0].config.preset: "pico" is not available',
        '    6 |       preset: pico',
        '      |               ^',
      ].join('\n'),
    );
  });
});
