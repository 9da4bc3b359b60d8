import {
  CachePolicy,
  type PhaseDescriptor,
  PhaseDescriptorSchema,
  StepResultSchema,
} from '@agentforge/contracts';
import type { CachedStep } from '@agentforge/events';
import { create, type JsonObject } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { RUN, Story } from '../../../test/story.js';
import { PhaseCatalog } from '../../ports/phase-catalog.port.js';
import { StepResults } from '../../ports/step-results.port.js';
import { explainCache } from './explain-cache.js';
import { isWorthKeeping, notReusable, policyOf } from './reuse-rules.js';
import { differencesOf, factsOf, keyOf, type WorkFacts } from './work-facts.js';

const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const phaseOf = (over: object = {}): PhaseDescriptor =>
  create(PhaseDescriptorSchema, {
    name: 'noop',
    version: '1.0.0',
    outputs: [{ name: 'text', artifactType: 'corpus' }],
    ...over,
  });

class OnePhase extends PhaseCatalog {
  constructor(readonly phase: PhaseDescriptor | undefined) {
    super();
  }
  get() {
    return this.phase;
  }
  list() {
    return this.phase ? [this.phase] : [];
  }
}

class FakeResults extends StepResults {
  entries: CachedStep[] = [];
  gone: string[] = [];
  async find(project: string, key: string) {
    return this.entries.find((entry) => entry.project === project && entry.key === key);
  }
  async neighbours() {
    return this.entries;
  }
  async keep(step: CachedStep) {
    this.entries.push(step);
  }
  async missing() {
    return this.gone;
  }
}

const input = (port: string, ...digits: string[]) => ({
  port,
  source: { case: 'artifacts' as const, value: { refs: digits.map((d) => ({ digest: digest(d) })) } },
});

/** Facts of the only step of a run. */
function factsFor(step: object = {}, graph: object = {}, version = '1.0.0'): WorkFacts {
  const story = Story.of([{ id: 's', inputs: [input('text', 'a')], config: { n: 1 }, ...step }], graph);
  if (!story.state) throw new Error('no run');
  return factsOf(story.state, story.step('s'), version);
}

describe('keyOf()', () => {
  const base = keyOf(factsFor());

  it('is the digest of all that a result depends on', () => {
    expect(factsFor({ seed: 7n })).toEqual({
      phase: 'noop',
      phase_version: '1.0.0',
      config: { n: 1 },
      seed: '7',
      inputs: { text: [digest('a')] },
    });
    expect(base).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(keyOf(factsFor())).toBe(base);
  });

  it.each([
    ['phase', factsFor({ phase: 'other' })],
    ['version', factsFor({}, {}, '1.0.1')],
    ['configuration', factsFor({ config: { n: 2 } })],
    ['seed of the graph', factsFor({}, { seed: 9n })],
    ['seed of the step', factsFor({ seed: 9n })],
    ['input', factsFor({ inputs: [input('text', 'b')] })],
    ['port', factsFor({ inputs: [input('model', 'a')] })],
    ['number of inputs', factsFor({ inputs: [input('text', 'a', 'a')] })],
    ['order of inputs', factsFor({ inputs: [input('text', 'b', 'a')] })],
  ])('changes with the %s', (_, facts) => {
    expect(keyOf(facts)).not.toBe(base);
  });

  it('does not change with what decides only when and how often the work is done', () => {
    const retry = { maxAttempts: 9 };
    const facts = factsFor({ retry, cache: CachePolicy.READ_WRITE, resources: { cpu: 1 } }, { priority: 5 });
    expect(keyOf(facts)).toBe(base);
  });

  it('agrees with differencesOf(): keys are equal exactly when nothing differs', () => {
    const value = fc.oneof(fc.integer({ min: 0, max: 2 }), fc.constantFrom('a', 'b'), fc.constant(null));
    const config = fc.dictionary(
      fc.constantFrom('x', 'y'),
      fc.oneof(value, fc.array(value, { maxLength: 2 })),
    );
    const facts = fc.record({
      phase: fc.constantFrom('p', 'q'),
      phase_version: fc.constantFrom('1', '2'),
      config,
      seed: fc.constantFrom('0', '1'),
      inputs: fc.dictionary(fc.constantFrom('i'), fc.array(fc.constantFrom('d', 'e'), { maxLength: 2 })),
    });
    fc.assert(
      fc.property(facts, facts, (a, b) => {
        const isEqual = keyOf(a as WorkFacts) === keyOf(b as WorkFacts);
        expect(differencesOf(a as WorkFacts, b as unknown as JsonObject).length === 0).toBe(isEqual);
      }),
    );
  });
});

describe('differencesOf()', () => {
  it('names each field with both values', () => {
    const there = factsFor({ config: { n: 2, list: [1, 2] }, inputs: [input('text', 'a', 'b')], seed: 3n });
    const here = { ...factsFor({ config: { n: 1, list: [1] }, seed: 3n }) };
    expect(differencesOf(here, there as unknown as JsonObject)).toEqual([
      { field: 'config.list[1]', here: undefined, there: '2' },
      { field: 'config.n', here: '1', there: '2' },
      { field: 'inputs.text[1]', here: undefined, there: digest('b') },
    ]);
  });
});

describe('what may be reused', () => {
  it('is nothing of a phase that is unknown, has no version, delivers nothing, or says so', () => {
    expect(notReusable(phaseOf())).toBeUndefined();
    expect(notReusable(undefined)).toMatch(/not installed/);
    expect(notReusable(phaseOf({ version: '' }))).toMatch(/no version/);
    expect(notReusable(phaseOf({ outputs: [] }))).toMatch(/delivers nothing/);
    expect(notReusable(phaseOf({ nonDeterministic: true }))).toMatch(/another result/);
  });

  it('follows the policy of the step, else that of the engine', () => {
    const step = Story.of([{ id: 's' }]).step('s');
    expect(policyOf(step, CachePolicy.OFF)).toBe(CachePolicy.OFF);
    expect(policyOf(step, CachePolicy.READ_WRITE)).toBe(CachePolicy.READ_WRITE);
    const own = Story.of([{ id: 's', cache: CachePolicy.REFRESH }]).step('s');
    expect(policyOf(own, CachePolicy.OFF)).toBe(CachePolicy.REFRESH);
  });

  it("is the step's own work of the version it was scheduled for, with something delivered", () => {
    const result = create(StepResultSchema, {
      outputs: [{ port: 'text', artifacts: [{ digest: digest('c') }] }],
    });
    const story = new Story();
    story.over = { phaseVersionOf: () => '1.0.0' };
    story.begin([{ id: 's' }]);
    story.start('s');
    story.report('s', { case: 'succeeded', value: { result } });
    const attemptId = story.step('s').attempts[0]?.id ?? '';
    story.tell({ kind: 'outputs-judged', stepId: 's', attemptId, verdicts: [] });
    const done = story.step('s');
    const isKept = (step = done, phase = phaseOf(), standard: 1 | 2 | 3 = CachePolicy.READ_WRITE) =>
      isWorthKeeping(step, phase, standard);
    expect(done.result).toEqual(result);
    expect(isKept()).toBe(true);
    expect(isKept(done, phaseOf(), CachePolicy.REFRESH)).toBe(true);
    expect(isKept(done, phaseOf(), CachePolicy.OFF)).toBe(false);
    expect(isKept(done, phaseOf({ version: '1.0.1' }))).toBe(false);
    expect(isKept({ ...done, fallback: 'average' })).toBe(false);
    expect(isKept({ ...done, result: create(StepResultSchema, { outputs: [{ port: 'text' }] }) })).toBe(
      false,
    );
  });
});

describe('explainCache()', () => {
  const results = new FakeResults();
  const sources = { results, phases: new OnePhase(phaseOf()) };
  const story = Story.of([
    { id: 's', inputs: [input('text', 'a')], config: { steps: 8 }, cache: CachePolicy.READ_WRITE },
    {
      id: 't',
      after: [],
      inputs: [{ port: 'x', source: { case: 'stepOutput', value: { stepId: 's', output: 'text' } } }],
    },
  ]);
  const explain = (stepId = 's', over: Partial<typeof sources> = {}) => {
    if (!story.state) throw new Error('no run');
    return explainCache({ ...sources, ...over }, story.state, story.step(stepId), CachePolicy.OFF);
  };
  const entry = (config: JsonObject, over: Partial<CachedStep> = {}): CachedStep => {
    if (!story.state) throw new Error('no run');
    const facts = { ...factsOf(story.state, story.step('s'), '1.0.0'), config };
    const sourceRun = 'projects/p/runs/earlier';
    const result = create(StepResultSchema, { outcome: 'created' });
    const own = { project: 'p', key: keyOf(facts), phase: 'noop', sourceRun, sourceStepId: 'z', result };
    return { ...own, facts: facts as unknown as JsonObject, ...over };
  };

  beforeEach(() => {
    results.entries = [];
    results.gone = [];
  });

  it('tells a hit with its origin', async () => {
    results.entries = [entry({ steps: 8 })];
    expect(await explain()).toMatchObject({
      hit: true,
      key: results.entries[0]?.key,
      sourceRun: 'projects/p/runs/earlier',
      sourceStepId: 'z',
      policy: CachePolicy.READ_WRITE,
      differences: [],
    });
  });

  it('tells a miss with the nearest result and what differs', async () => {
    results.entries = [entry({ steps: 32, rate: 0.5, x: 1 }), entry({ steps: 16 }, { sourceStepId: 'near' })];
    expect(await explain()).toMatchObject({
      hit: false,
      sourceStepId: 'near',
      differences: [{ field: 'config.steps', here: '8', there: '16' }],
      message: expect.stringMatching(/differs in 1 field\.$/),
    });
  });

  it('says when an artifact is gone, when the result is its own, and when nothing is kept', async () => {
    results.entries = [entry({ steps: 8 })];
    results.gone = [digest('c')];
    expect(await explain()).toMatchObject({
      hit: false,
      message: expect.stringMatching(/sha256:ccc.* is gone/),
    });
    results.entries = [entry({ steps: 8 }, { sourceRun: RUN, sourceStepId: 's' })];
    expect(await explain()).toMatchObject({ hit: false, message: expect.stringMatching(/own result/) });
    results.entries = [];
    expect(await explain()).toMatchObject({
      hit: false,
      message: expect.stringMatching(/^No result of phase/),
    });
  });

  it('says why there is no key, and that the cache is off', async () => {
    expect(await explain('t')).toMatchObject({
      key: '',
      policy: CachePolicy.OFF,
      message: 'The cache is off for this step. Its inputs are not known before s completes.',
    });
    const phases = new OnePhase(phaseOf({ nonDeterministic: true }));
    expect(await explain('s', { phases })).toMatchObject({
      key: '',
      message: expect.stringMatching(/another result/),
    });
  });
});
