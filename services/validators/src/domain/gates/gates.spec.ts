import { countParameters, presetConfig, titansMag } from '@agentforge/model';
import type { InspectedModel } from '../judge-models.js';
import type { MetricValue } from '../subject.js';
import { judgement } from '../verdict.js';
import type { GateSubject } from './gate.js';
import { GATES, gatesOf } from './gates.js';

const PICO = countParameters(presetConfig('pico')).total;
const model = (name: string, parameters = PICO, weightsDigest = name): InspectedModel => ({
  field: `models/${name}`,
  name,
  digest: `sha256:${name}`,
  inspection: { problems: [], nonFinite: 0, parameters, weightsDigest, tokenizerDigest: 't' },
});
const metric = (name: string, value: number, split: string, subject: string): MetricValue => ({
  name,
  value,
  unit: '',
  split,
  subject,
});
/** Names of the gates that fail. */
const failing = (phase: string, subject: GateSubject): string[] =>
  gatesOf(phase)
    .map((gate) => judgement(gate.name, gate.judge(subject)))
    .filter(({ valid }) => !valid)
    .map(({ validator }) => validator);

describe('gates', () => {
  it('have names of their own that say their phase', () => {
    expect(new Set(GATES.map(({ name }) => name)).size).toBe(GATES.length);
    for (const { name, phase } of GATES) expect(name.startsWith(`gate/${phase}/`)).toBe(true);
  });
});

describe('gates of cognate', () => {
  const names = ['a', 'b', 'c'];
  const metrics = [
    metric('unigram_entropy', 5, 'fitness', ''),
    ...names.flatMap((name) => [metric('loss', 3, 'fitness', name), metric('parameters', PICO, '', name)]),
    ...['a|b', 'a|c', 'b|c'].map((pair) => metric('pairwise_distance', 0.1, '', pair)),
  ];
  const subject = (over: Partial<GateSubject> = {}, changed: MetricValue[] = metrics): GateSubject => ({
    config: { preset: 'pico' },
    result: { outcome: 'created', outputs: [], metrics: changed },
    inputModels: [],
    outputModels: names.map((name) => model(name)),
    ...over,
  });
  const without = (name: string, about: string) =>
    metrics.filter((m) => !(m.name === name && m.subject === about));
  const changed = (name: string, about: string, value: number) =>
    metrics.map((m) => (m.name === name && m.subject === about ? { ...m, value } : m));

  it('pass three different models that learned', () => {
    expect(failing('cognate', subject())).toEqual([]);
  });

  it('ask for as many models as configured', () => {
    const two = subject({ outputModels: [model('a'), model('b')] });
    expect(failing('cognate', two)).toEqual(['gate/cognate/count']);
    expect(failing('cognate', { ...two, config: { preset: 'pico', count: 2 } })).toEqual([]);
  });

  it('ask for finite weights', () => {
    const bad = model('a');
    const outputModels = [
      { ...bad, inspection: { ...bad.inspection, nonFinite: 1 } },
      model('b'),
      model('c'),
    ];
    expect(failing('cognate', subject({ outputModels }))).toEqual(['gate/cognate/finite']);
  });

  it('ask for a loss below the unigram entropy by the margin, of every model', () => {
    expect(failing('cognate', subject({}, changed('loss', 'b', 4.96)))).toEqual(['gate/cognate/loss-margin']);
    expect(failing('cognate', subject({}, changed('loss', 'b', 4.94)))).toEqual([]);
  });

  it('ask for models that differ, by measure and by weights', () => {
    expect(failing('cognate', subject({}, changed('pairwise_distance', 'a|c', 1e-4)))).toEqual([
      'gate/cognate/distance',
    ]);
    const outputModels = [model('a'), model('b', PICO, 'a'), model('c')];
    expect(failing('cognate', subject({ outputModels }))).toEqual(['gate/cognate/distance']);
  });

  it('ask for the number of parameters of the preset, and for the truth about it', () => {
    const big = Math.round(PICO * 1.2);
    const outputModels = [model('a', big), model('b'), model('c')];
    expect(failing('cognate', subject({ outputModels }, changed('parameters', 'a', big)))).toEqual([
      'gate/cognate/parameters',
    ]);
    expect(failing('cognate', subject({}, changed('parameters', 'a', 7)))).toEqual([
      'gate/cognate/parameters',
    ]);
  });

  it('count a neural memory as part of the model that was asked for', () => {
    const { total } = countParameters(titansMag(presetConfig('pico'), { memory: { expansion: 1 } }));
    const config = { preset: 'pico', architecture: 'titans-mag', memory: { expansion: 1 } };
    const outputModels = names.map((name) => model(name, total));
    const said = metrics.map((one) => (one.name === 'parameters' ? { ...one, value: total } : one));
    expect(failing('cognate', subject({ outputModels, config }, said))).toEqual([]);
    expect(failing('cognate', subject({ outputModels }, said))).toEqual(['gate/cognate/parameters']);
  });

  it.each([
    ['loss', 'a', 'gate/cognate/loss-margin'],
    ['unigram_entropy', '', 'gate/cognate/loss-margin'],
    ['pairwise_distance', 'b|c', 'gate/cognate/distance'],
    ['parameters', 'c', 'gate/cognate/parameters'],
  ])('fail when %s of "%s" was not measured', (name, about, gate) => {
    expect(failing('cognate', subject({}, without(name, about)))).toEqual([gate]);
  });
});

describe('gates of evomerge', () => {
  const losses = (best: number, one: number, two: number, mean: number): MetricValue[] => [
    metric('loss', best, 'report', 'best'),
    metric('loss', one, 'report', 'a'),
    metric('loss', two, 'report', 'b'),
    metric('loss', mean, 'report', 'uniform-average'),
    metric('parameters', PICO, '', 'best'),
  ];
  const subject = (outcome: string, metrics: MetricValue[], weights = 'merged'): GateSubject => ({
    config: {},
    result: { outcome, outputs: [], metrics },
    inputModels: [model('a'), model('b')],
    outputModels: [model('best', PICO, weights)],
  });

  it('pass a merge that beats every parent and the uniform average', () => {
    expect(failing('evomerge', subject('improved', losses(2, 3, 3, 2.5)))).toEqual([]);
  });

  it('refuse a claim that the numbers do not carry', () => {
    expect(failing('evomerge', subject('improved', losses(3, 3, 4, 5)))).toEqual([
      'gate/evomerge/beats-parents',
    ]);
    expect(failing('evomerge', subject('improved', losses(3, 4, 4, 2)))).toEqual([
      'gate/evomerge/beats-uniform-average',
    ]);
  });

  it('pass no_gain with the best parent, and refuse it with anything else', () => {
    const metrics = losses(2, 3, 2, 4);
    expect(failing('evomerge', subject('no_gain', metrics, 'b'))).toEqual([]);
    expect(failing('evomerge', subject('no_gain', metrics, 'a'))).toEqual(['gate/evomerge/honest-outcome']);
    expect(failing('evomerge', subject('no_gain', metrics, 'merged'))).toEqual([
      'gate/evomerge/honest-outcome',
    ]);
  });

  it('refuse an outcome that they do not know, and measures that are missing', () => {
    expect(failing('evomerge', subject('great', losses(2, 3, 3, 3)))).toEqual([
      'gate/evomerge/honest-outcome',
    ]);
    const missing = losses(2, 3, 3, 3).filter(({ subject }) => subject !== 'a');
    expect(failing('evomerge', subject('improved', missing))).toEqual(['gate/evomerge/beats-parents']);
  });

  it('tell parents of the same name apart', () => {
    const twins = { ...subject('improved', [...losses(2, 3, 3, 3), metric('loss', 1, 'report', 'a#2')]) };
    expect(failing('evomerge', { ...twins, inputModels: [model('a'), model('a')] })).toEqual([
      'gate/evomerge/beats-parents',
    ]);
  });

  it('do not ask for numbers of a fallback', () => {
    expect(failing('evomerge', subject('fallback', [metric('parameters', PICO, '', 'best')]))).toEqual([]);
  });
});

describe('gates of quietstar', () => {
  const tests = (gain: number, ablation: number, coherence: number): MetricValue[] => [
    metric('gain_low', gain, 'report', ''),
    metric('ablation', ablation, 'report', ''),
    metric('coherence_correlation', coherence, 'report', ''),
    metric('parameters', PICO, '', ''),
  ];
  const subject = (outcome: string, metrics: MetricValue[], weights = 'thinking'): GateSubject => ({
    config: {},
    result: { outcome, outputs: [], metrics },
    inputModels: [model('input')],
    outputModels: [model('output', PICO, weights)],
  });

  it('pass thoughts that help by all three tests', () => {
    expect(failing('quietstar', subject('improved', tests(0.01, 0.02, 0.6)))).toEqual([]);
  });

  it.each([
    ['gain', tests(0, 0.02, 0.6)],
    ['ablation', tests(0.01, 0, 0.6)],
    ['coherence', tests(0.01, 0.02, 0.5)],
  ])('refuse a claim that %s does not carry', (name, metrics) => {
    expect(failing('quietstar', subject('improved', metrics))).toEqual([`gate/quietstar/${name}`]);
  });

  it('take the correlation that the configuration asks for', () => {
    const asked = { ...subject('improved', tests(0.01, 0.02, 0.6)), config: { min_correlation: 0.7 } };
    expect(failing('quietstar', asked)).toEqual(['gate/quietstar/coherence']);
  });

  it.each(['gain_low', 'ablation', 'coherence_correlation'])('refuse a claim without %s', (name) => {
    const metrics = tests(0.01, 0.02, 0.6).filter((one) => one.name !== name);
    expect(failing('quietstar', subject('improved', metrics))).toHaveLength(1);
    expect(failing('quietstar', subject('no_gain', metrics, 'input'))).toEqual([]);
  });

  it.each(['no_gain', 'fallback'])('pass %s with the input model only', (outcome) => {
    const metrics = tests(-1, -1, -1);
    expect(failing('quietstar', subject(outcome, metrics, 'input'))).toEqual([]);
    expect(failing('quietstar', subject(outcome, metrics))).toEqual(['gate/quietstar/honest-outcome']);
  });

  it('refuse an outcome that they do not know, and a wrong number of parameters', () => {
    const refused = ['gate/quietstar/honest-outcome'];
    expect(failing('quietstar', subject('great', tests(1, 1, 1)))).toEqual(refused);
    const wrong = [...tests(1, 1, 1).slice(0, 3), metric('parameters', 7, '', '')];
    expect(failing('quietstar', subject('improved', wrong))).toEqual(refused);
  });
});
