import { TINY } from '../../test/models.js';
import type { ReportInspection } from './inspect-report.js';
import { type InspectedModel, judgeCompatibility, judgeIntegrity } from './judge-models.js';
import { judgePorts } from './port-rules.js';
import type { MetricValue, ResultFacts } from './subject.js';
import { judgeTheatre } from './theatre.js';
import { failures, holds, judgement } from './verdict.js';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const model = (name: string, over: Partial<InspectedModel['inspection']> = {}): InspectedModel => ({
  field: `outputs.models/${name}`,
  name,
  digest: DIGEST,
  inspection: {
    problems: [],
    nonFinite: 0,
    config: TINY,
    weightsDigest: name,
    tokenizerDigest: 't',
    ...over,
  },
});
const metric = (name: string, value: number, split = '', subject = ''): MetricValue => ({
  name,
  value,
  unit: '1',
  split,
  subject,
});
const result = (metrics: MetricValue[] = [], outcome = 'improved'): ResultFacts => ({
  outcome,
  outputs: [],
  metrics,
});

describe('judgement()', () => {
  it('is valid when nothing is wrong; its score is the share of measurements that hold', () => {
    const detail = (value: number) => ({
      name: 'x',
      value,
      threshold: 1,
      comparison: 'at-least' as const,
      unit: '1',
    });
    expect(judgement('v', { errors: [] })).toMatchObject({ valid: true, score: 1, blocking: true });
    const details = [detail(1), detail(0), detail(Number.NaN), detail(2)];
    expect(judgement('v', { errors: failures(details), details })).toMatchObject({
      valid: false,
      score: 0.5,
    });
    expect(holds(detail(Number.NaN))).toBe(false);
  });
});

describe('judgePorts()', () => {
  const ports = [{ name: 'models', artifactType: 'model', minCount: 2, maxCount: 3 }];
  const artifact = { digest: DIGEST, name: 'm', type: 'model' };

  it('accepts artifacts that fit', () => {
    expect(judgePorts('inputs', ports, [{ port: 'models', artifacts: [artifact, artifact] }]).valid).toBe(
      true,
    );
  });

  it('names unknown ports, counts, types and digests that do not fit', () => {
    const { errors } = judgePorts('outputs', ports, [
      { port: 'models', artifacts: [{ ...artifact, type: 'corpus', digest: 'x' }] },
      { port: 'extra', artifacts: [] },
    ]);
    expect(errors.map(({ field }) => field)).toEqual([
      'outputs.extra',
      'outputs.models',
      'outputs.models[0].type',
      'outputs.models[0].digest',
    ]);
  });
});

describe('judgeIntegrity(), judgeCompatibility()', () => {
  it('repeats what was found in each model, with its place', () => {
    const broken = model('b', { problems: [{ field: 'config.json', description: 'bad' }], nonFinite: 3 });
    const judged = judgeIntegrity([model('a'), broken]);
    expect(judged.errors).toEqual([{ field: 'outputs.models/b/config.json', description: 'bad' }]);
    expect(judged.score).toBe(0.5);
  });

  it('accepts models of one architecture and tokenizer', () => {
    expect(judgeCompatibility([model('a'), model('b')]).valid).toBe(true);
  });

  it('names differing fields of the configuration and a differing tokenizer', () => {
    const other = model('b', { config: { ...TINY, numLayers: 2 }, tokenizerDigest: 'u' });
    expect(judgeCompatibility([model('a'), other]).errors.map(({ field }) => field)).toEqual([
      'outputs.models/b/config.json/numLayers',
      'outputs.models/b/tokenizer.json',
    ]);
  });
});

describe('judgeTheatre()', () => {
  const report = (over: Partial<ReportInspection> = {}): ReportInspection => ({
    problems: [],
    phase: 'p',
    outcome: 'improved',
    curves: [],
    ...over,
  });
  const curve = (series: string, values: number[]) => ({ series, subject: 'm', values });
  const errors = (...given: Parameters<typeof judgeTheatre>) =>
    judgeTheatre(...given).errors.map(({ field }) => field);

  it('accepts work that moves', () => {
    const metrics = [
      metric('loss', 3, 'train', 'm'),
      metric('loss', 3.1, 'report', 'm'),
      metric('loss', 3.2, 'fitness', 'm'),
    ];
    const reports = [report({ curves: [curve('loss', [5, 4, 3, 2, 1]), curve('lr', [1, 1, 1, 1, 1])] })];
    expect(errors(result(metrics), reports, [model('in')], [model('out')])).toEqual([]);
  });

  it('flags a curve that never moves, and lets a short one pass', () => {
    const reports = [report({ curves: [curve('loss', [2, 2, 2, 2, 2]), curve('fitness', [1, 1])] })];
    expect(errors(result(), reports, [], [])).toEqual(['report.curves.loss/m']);
  });

  it.each([
    ['the best of a search', 'fitness/best', Array<number>(21).fill(1)],
    ['the mean of a search that has settled', 'fitness/mean', Array<number>(6).fill(1)],
    ['the least loss so far', 'loss/best', Array<number>(6).fill(2)],
    ['the reward of thoughts that are all alike', 'reward', Array<number>(6).fill(0)],
  ])('lets %s stand still', (_, series, values) => {
    expect(
      errors(
        result([], 'no_gain'),
        [report({ outcome: 'no_gain', curves: [curve(series, values)] })],
        [],
        [],
      ),
    ).toEqual([]);
  });

  it.each(['loss', 'loss/fitness', 'loss/plain'])('flags a %s that never moves', (series) => {
    const reports = [report({ curves: [curve(series, [2, 2, 2, 2, 2])] })];
    expect(errors(result(), reports, [], [])).toEqual([`report.curves.${series}/m`]);
  });

  it('lets equal models have equal losses on one split', () => {
    const metrics = ['best', 'a', 'a#2', 'a#3'].map((subject) => metric('loss', 3, 'report', subject));
    expect(errors(result(metrics, 'no_gain'), [], [], [])).toEqual([]);
  });

  it('flags losses that are the same on every split', () => {
    const metrics = ['train', 'fitness', 'report'].map((split) => metric('loss', 3, split, 'm'));
    expect(errors(result(metrics), [], [], [])).toEqual(['metrics.loss']);
  });

  it('flags values that are not finite or beyond the information bound', () => {
    const metrics = [
      metric('loss', Number.NaN),
      metric('bits_per_byte', 9, 'report'),
      metric('bits_per_byte', 0),
    ];
    expect(errors(result(metrics), [], [], [])).toEqual([
      'metrics.loss',
      'metrics.bits_per_byte/report',
      'metrics.bits_per_byte',
    ]);
  });

  it('flags a gain that is claimed with the weights of an input, and only then', () => {
    const same = [model('x')];
    expect(errors(result(), [], same, same)).toEqual(['outputs.models/x']);
    expect(errors(result([], 'no_gain'), [], same, same)).toEqual([]);
  });

  it('flags a report that says another outcome', () => {
    expect(errors(result(), [report({ outcome: 'no_gain' })], [], [])).toEqual(['report.outcome']);
  });
});
