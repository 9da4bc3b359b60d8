import { ConfigRules } from './config-rules.js';
import type { Binding, GraphDraft, PhaseFacts, StepDraft } from './graph.js';
import { bounded, judgeGraph } from './graph-rules.js';

const port = (name: string, artifactType: string, minCount = 1, maxCount = 1) => ({
  name,
  artifactType,
  minCount,
  maxCount,
});
const PHASES = new Map<string, PhaseFacts>([
  [
    'cognate',
    {
      name: 'cognate',
      inputs: [port('corpus', 'corpus')],
      outputs: [port('models', 'model', 3, 3), port('report', 'report')],
      configSchema: { type: 'object', properties: { count: { type: 'integer', minimum: 1, default: 3 } } },
    },
  ],
  [
    'evomerge',
    {
      name: 'evomerge',
      inputs: [port('models', 'model', 2, 16), port('corpus', 'corpus')],
      outputs: [port('model', 'model'), port('report', 'report')],
      configSchema: { type: 'object' },
    },
  ],
  ['noop', { name: 'noop', inputs: [], outputs: [], configSchema: { type: 'object' } }],
]);
const LIMITS = { maxSteps: 10, maxGraphBytes: 10_000, maxParallelSteps: 100 };
const DIGEST = `sha256:${'a'.repeat(64)}`;
const corpus: Binding = {
  port: 'corpus',
  source: { kind: 'artifacts', refs: [{ digest: DIGEST, type: 'corpus' }] },
};
const from = (port: string, stepId: string, output: string): Binding => ({
  port,
  source: { kind: 'step', stepId, output },
});
const step = (id: string, phase: string, rest: Partial<StepDraft> = {}): StepDraft => ({
  id,
  kind: 'phase',
  phase,
  config: {},
  inputs: [],
  after: [],
  ...rest,
});
const graph = (steps: StepDraft[], rest: Partial<GraphDraft> = {}): GraphDraft => ({
  steps,
  maxParallelSteps: 0,
  priority: 0,
  sizeBytes: 100,
  ...rest,
});
const judge = (draft: GraphDraft) => judgeGraph(draft, PHASES, LIMITS, new ConfigRules());
const violations = (draft: GraphDraft) =>
  judge(draft).violations.map(({ field, description }) => `${field} ${description}`);

describe('judgeGraph()', () => {
  const pipeline = [
    step('create', 'cognate', { inputs: [corpus] }),
    step('merge', 'evomerge', { inputs: [from('models', 'create', 'models'), corpus] }),
  ];

  it('accepts a pipeline and fills in the configurations', () => {
    expect(judge(graph(pipeline))).toEqual({
      violations: [],
      configs: [{ count: 3 }, {}],
      sound: [0, 1],
    });
  });

  it('tells which configurations keep to their schema, whatever else is wrong', () => {
    const steps = [
      step('a', 'cognate', { config: { count: 0 }, inputs: [corpus] }),
      step('b', 'cognate'),
      step('c', 'ghost'),
    ];
    expect(judge(graph(steps)).sound).toEqual([1]);
  });

  it('reports violations of every kind at once', () => {
    const found = violations(
      graph([
        step('create', 'cognat', { inputs: [corpus] }),
        step('create', 'cognate', { config: { count: 0 } }),
        step('Bad Id', 'noop', { after: ['ghost'] }),
      ]),
    );
    expect(found).toEqual([
      'steps[1].id is "create", as steps[0].id already is; ids are unique',
      'steps[2].id is "Bad Id"; must be 1 to 63 of a-z, 0-9, "-" and "_"',
      'steps[0].phase names the unknown phase "cognat"; did you mean "cognate"? known: cognate, evomerge, noop',
      'steps[1].config.count is 0; must be >= 1',
      'steps[1].inputs lack the input port "corpus" (corpus); bind it to a step\'s output or to artifacts',
      'steps[2].after[0] names the unknown step "ghost"; known: Bad Id, create',
    ]);
  });

  it('names a cycle that goes through inputs and order', () => {
    const found = violations(
      graph([
        step('a', 'noop', { after: ['c'] }),
        step('b', 'noop', { after: ['a'] }),
        step('c', 'noop', { after: ['b'] }),
      ]),
    );
    expect(found).toEqual([
      expect.stringMatching(/^steps\[0\] is part of the cycle (\w -> ){3}\w; remove one of its edges$/),
    ]);
  });

  it('refuses a step that waits for itself', () => {
    expect(violations(graph([step('a', 'noop', { after: ['a'] })]))).toEqual([
      'steps[0] is part of the cycle a -> a; remove one of its edges',
    ]);
  });

  it('refuses an output of another type, an unknown output and an unknown port', () => {
    const found = violations(
      graph([
        step('create', 'cognate', { inputs: [corpus] }),
        step('merge', 'evomerge', {
          inputs: [
            from('models', 'create', 'report'),
            from('corpus', 'create', 'texts'),
            from('seeds', 'create', 'models'),
          ],
        }),
      ]),
    );
    expect(found).toEqual([
      'steps[1].inputs[0].step_output.output delivers artifacts of type "report"; port "models" reads "model"',
      'steps[1].inputs[1].step_output.output names the unknown output "texts" of phase "cognate"; known: models, report',
      'steps[1].inputs[2].port names the unknown input port "seeds" of phase "evomerge"; known: corpus, models',
      'steps[1].inputs give port "models" at most 1 artifacts; it reads 2 to 16',
    ]);
  });

  it('refuses counts that cannot fit', () => {
    const two = {
      ...corpus,
      source: { kind: 'artifacts' as const, refs: [1, 2].map(() => ({ digest: DIGEST, type: 'corpus' })) },
    };
    expect(violations(graph([step('create', 'cognate', { inputs: [two] })]))).toEqual([
      'steps[0].inputs give port "corpus" at least 2 artifacts; it reads 1',
    ]);
  });

  it('refuses malformed digests and wrong types of artifacts', () => {
    const bad: Binding = {
      port: 'corpus',
      source: { kind: 'artifacts', refs: [{ digest: 'sha256:XY', type: 'model' }] },
    };
    expect(violations(graph([step('create', 'cognate', { inputs: [bad] })]))).toEqual([
      'steps[0].inputs[0].artifacts.refs[0].digest is "sha256:XY"; must be "sha256:" and 64 lower-case hexadecimal digits',
      'steps[0].inputs[0].artifacts.refs[0].type is "model"; port "corpus" reads artifacts of type "corpus"',
    ]);
  });

  it('refuses a binding without a source', () => {
    const none: Binding = { port: 'corpus', source: { kind: 'none' } };
    expect(violations(graph([step('create', 'cognate', { inputs: [none] })]))).toEqual([
      'steps[0].inputs[0] has no source; set step_output or artifacts',
    ]);
  });

  it('marks kinds that cannot be executed yet', () => {
    const { violations: found } = judge(graph([step('ask', '', { kind: 'agent_task' })]));
    expect(found).toEqual([
      {
        field: 'steps[0].kind',
        description: 'is "agent_task", which this version cannot execute; use a step of kind "phase"',
        unimplemented: true,
      },
    ]);
  });

  it('bounds retries, timeouts, parallelism and deadline', () => {
    const found = violations(
      graph(
        [
          step('a', 'noop', {
            retry: {
              maxAttempts: 101,
              backoffCoefficient: 0.5,
              jitter: Number.NaN,
              maxIntervalMs: -1,
              retryClasses: ['transient', undefined],
              nonRetryableReasons: ['OUT_OF_MEMORY', 'oom'],
            },
            timeouts: { heartbeatMs: 10, startToCloseMs: 0 },
          }),
        ],
        { maxParallelSteps: 101, deadlineMs: 0 },
      ),
    );
    expect(found).toEqual([
      'max_parallel_steps is 101; must be 0 to 100',
      'deadline is 0s; must be 0.001s to 31536000s',
      'steps[0].retry.max_attempts is 101; must be 0 to 100',
      'steps[0].retry.backoff_coefficient is 0.5; must be 1 to 100',
      'steps[0].retry.max_interval is -0.001s; must be 0s to 86400s',
      'steps[0].retry.jitter is NaN; must be 0 to 1',
      'steps[0].retry.retry_classes[1] is unknown; use transient, permanent, resource',
      'steps[0].retry.non_retryable_reasons[1] is "oom"; must be as failures carry it, for example "OUT_OF_MEMORY"',
      'steps[0].timeouts.start_to_close is 0s; must be 0.001s to 2592000s',
      'steps[0].timeouts.heartbeat is 0.01s; must be 1s to 3600s',
    ]);
  });

  it('refuses an empty graph, too many steps and too many bytes', () => {
    expect(violations(graph([]))).toEqual(['steps is empty; a graph has at least one step']);
    const many = Array.from({ length: 11 }, (_, i) => step(`s${i}`, 'noop'));
    expect(violations(graph(many))).toEqual(['steps has 11 steps; at most 10 are accepted']);
    expect(violations(graph([step('a', 'noop')], { sizeBytes: 10_001 }))).toEqual([
      'steps take 10001 bytes in all; at most 10000 are accepted',
    ]);
  });

  it('reports at most 100 violations and says how many more there are', () => {
    const many = Array.from({ length: 150 }, () => step('a', 'noop'));
    const { violations: found } = judgeGraph(
      graph(many),
      PHASES,
      { ...LIMITS, maxSteps: 1_000 },
      new ConfigRules(),
    );
    const told = bounded(found);
    expect(told).toHaveLength(100);
    expect(told.at(-1)?.description).toBe('have 50 more violations; correct these first');
  });
});
