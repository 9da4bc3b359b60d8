import { inspectReport } from './inspect-report.js';

const problems = (value: unknown) =>
  inspectReport(typeof value === 'string' ? value : JSON.stringify(value)).problems.map(({ field }) => field);

describe('inspectReport()', () => {
  const good = { phase: 'cognate', outcome: 'created', metrics: [], curves: [] };

  it('reads phase, outcome and curves', () => {
    const curves = [
      {
        series: 'loss',
        subject: 'm',
        points: [
          [1, 2.5],
          [2, 2.25],
        ],
      },
    ];
    expect(inspectReport(JSON.stringify({ ...good, curves }))).toEqual({
      problems: [],
      phase: 'cognate',
      outcome: 'created',
      curves: [{ series: 'loss', subject: 'm', values: [2.5, 2.25] }],
    });
  });

  it('names everything that is missing or malformed', () => {
    expect(problems('{')).toEqual(['']);
    expect(problems([])).toEqual(['']);
    expect(problems({})).toEqual(['phase', 'outcome', 'metrics', 'curves']);
    expect(problems({ ...good, curves: [{}, { series: 's', points: [[1, null], 2] }] })).toEqual([
      'curves[0]',
      'curves[1].points[0]',
      'curves[1].points[1]',
    ]);
  });
});
