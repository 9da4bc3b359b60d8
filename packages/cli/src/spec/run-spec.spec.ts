import { parseRunSpec } from './run-spec.js';

const GOOD = `name: test
seed: 18446744073709551615
labels: { team: search }
deadline: 1h30m
steps:
  - id: founders
    phase: cognate
    config: { preset: pico, learning_rate: 3e-3, nested: { list: [1, 2] } }
    inputs:
      corpus: { file: book.txt }
    retry: { max_attempts: 2, initial_interval: 500ms, classes: [resource], non_retryable_reasons: [OUT_OF_DISK] }
    cache: read-write
  - id: evolve
    phase: evomerge
    inputs:
      models: { from: founders.models }
      corpus: [{ artifact: "sha256:${'a'.repeat(64)}" }]
    after: [founders]
    seed: 3
    allow_fallback: false
`;

/** `line:column path message` of every problem. */
function problemsOf(text: string, overrides: string[] = []): string[] {
  return parseRunSpec(text, overrides).problems.map(
    ({ position, origin, path, message }) =>
      `${position ? `${position.line}:${position.column}` : (origin ?? '-')} ${path} ${message}`,
  );
}

describe('parseRunSpec()', () => {
  it('reads a complete specification', () => {
    const { spec, problems } = parseRunSpec(GOOD);
    expect(problems).toEqual([]);
    expect(spec?.seed).toBe(18446744073709551615n);
    expect(spec?.deadlineMs).toBe(5_400_000);
    expect(spec?.labels).toEqual({ team: 'search' });
    expect(spec?.steps[0]?.config).toEqual({
      preset: 'pico',
      learning_rate: 0.003,
      nested: { list: [1, 2] },
    });
    expect(spec?.steps[0]?.retry?.initialIntervalMs).toBe(500);
    expect(spec?.steps[0]).toMatchObject({
      cache: 'read-write',
      retry: { classes: ['resource'], nonRetryableReasons: ['OUT_OF_DISK'] },
    });
    expect(spec?.steps[1]?.inputs[0]).toEqual({
      port: 'models',
      source: { kind: 'output', stepId: 'founders', output: 'models' },
    });
    expect(spec?.steps[1]).toMatchObject({ seed: 3n, allowFallback: false, after: ['founders'] });
  });

  it('reads priority and resources, also in units, and refuses what is none', () => {
    const { spec, problems } =
      parseRunSpec(`${GOOD}    resources: { cpu: 1.5, memory: 4GiB, gpus: 1, gpu_memory: 80GB }
priority: 7
`);
    expect(problems).toEqual([]);
    expect(spec?.priority).toBe(7);
    expect(spec?.steps[0]?.resources).toBeUndefined();
    expect(spec?.steps[1]?.resources).toEqual({
      cpu: 1.5,
      memoryBytes: 4_294_967_296n,
      gpus: 1,
      gpuMemoryBytes: 80_000_000_000n,
    });
    expect(problemsOf(`${GOOD}    resources: { cpu: -1, memory: much, gpuss: 1 }\npriority: 2000\n`)).toEqual(
      [
        '21:23 steps[1].resources.cpu -1 is not within 0 to 4096',
        '21:35 steps[1].resources.memory expected a number of bytes, or one with a unit: 512MiB, 1.5GiB, 2GB',
        '21:41 steps[1].resources.gpuss unknown field "gpuss"; did you mean "gpus"?',
        '22:11 priority 2000 is not within -1000 to 1000',
      ],
    );
  });

  it('reports every problem at once, in the order of the file, with line and column', () => {
    const text = `seed: -1
steps:
  - id: Founders
    phase: cognate
    confg: {}
  - id: evolve
    inputs:
      models: { from: foundrs.models }
      corpus: {}
    retry: { max_attempts: 0, classes: [transient, rare], non_retryable_reasons: [oom] }
    cache: always
    after: [nobody]
    timeouts: { heartbeat: soon }
`;
    expect(problemsOf(text)).toEqual([
      '1:7 seed -1 is not within 0 to 18446744073709551615',
      '3:9 steps[0].id "Founders" is not valid: lower-case letters, digits, "-" and "_", at most 63',
      '5:5 steps[0].confg unknown field "confg"; did you mean "config"?',
      expect.stringMatching(/^6:5 steps\[1\]\.phase a step needs a phase/),
      '8:23 steps[1].inputs.models.from no step has the id "foundrs"',
      expect.stringMatching(/^9:7 steps\[1\]\.inputs\.corpus expected one of/),
      '10:28 steps[1].retry.max_attempts 0 is not within 1 to 100',
      '10:52 steps[1].retry.classes[1] "rare" is not known; known: transient, resource, permanent',
      expect.stringMatching(/^10:83 steps\[1\]\.retry\.non_retryable_reasons\[0\] "oom" is not valid/),
      '11:12 steps[1].cache "always" is not known; known: read-write, refresh, off',
      '12:13 steps[1].after[0] no step has the id "nobody"',
      expect.stringMatching(/^13:28 steps\[1\]\.timeouts\.heartbeat expected a duration/),
    ]);
  });

  it('names the step that was meant', () => {
    const text = 'steps: [{id: founders, phase: a}, {id: b, phase: c, inputs: {m: {from: fuonders.x}}}]';
    expect(problemsOf(text)).toEqual([
      '1:72 steps[1].inputs.m.from no step has the id "fuonders"; did you mean "founders"?',
    ]);
  });

  it('refuses cycles with the way around them, and duplicate ids', () => {
    expect(problemsOf('steps: [{id: a, phase: p, after: [b]}, {id: b, phase: p, after: [a]}]')[0]).toMatch(
      /steps wait for each other: (a → b → a|b → a → b)/,
    );
    expect(problemsOf('steps: [{id: a, phase: p}, {id: a, phase: p}]')).toEqual([
      '1:33 steps[1].id "a" is already the id of step 1',
    ]);
  });

  it('reports syntax errors with their place, and nothing else', () => {
    expect(problemsOf('steps:\n  - id: [a\n')[0]).toMatch(/^\d+:\d+ {2}/);
    expect(problemsOf('seed: 1\nseed: 2\nsteps: []')[0]).toContain('2:1');
  });

  it.each(['', '[]', 'text', '12'])('refuses the document %p without throwing', (text) => {
    expect(parseRunSpec(text).spec).toBeUndefined();
    expect(parseRunSpec(text).problems.length).toBeGreaterThan(0);
  });

  it('refuses numbers that JSON would round', () => {
    const text = 'steps: [{id: a, phase: p, config: {n: 9007199254740993}}]';
    expect(problemsOf(text)[0]).toMatch(/steps\[0\]\.config\.n 9007199254740993 is too large/);
  });

  it('applies --set by step id or index, and blames it for what it breaks', () => {
    const overrides = ['steps.founders.config.steps=200', 'steps[1].config.deep.er=[1, x]', 'seed=9'];
    const { spec } = parseRunSpec(GOOD, overrides);
    expect(spec?.steps[0]?.config['steps']).toBe(200);
    expect(spec?.steps[1]?.config).toEqual({ deep: { er: [1, 'x'] } });
    expect(spec?.seed).toBe(9n);
    expect(problemsOf(GOOD, ['seed=x'])[0]).toMatch(/^--set seed=x seed expected a whole number/);
    expect(problemsOf(GOOD, ['nonsense'])[0]).toMatch(/^--set nonsense .*KEY=VALUE/);
    expect(problemsOf(GOOD, ['steps.nobody.config.a=1'])[0]).toMatch(/no step has the id "nobody"/);
    expect(problemsOf(GOOD, ['name.deeper=1'])[0]).toMatch(
      /name\.deeper is inside a value that has no fields/,
    );
  });

  it('survives anchors, and refuses an explosion of them', () => {
    const { spec } = parseRunSpec(
      'steps: [{id: a, phase: p, config: &c {n: 1}}, {id: b, phase: p, config: *c}]',
    );
    expect(spec?.steps[1]?.config).toEqual({ n: 1 });
    const bomb = Array.from({ length: 9 }, (_, i) => `x${i + 1}: &x${i + 1} [${`*x${i},`.repeat(9)}]`).join(
      '\n',
    );
    expect(parseRunSpec(`x0: &x0 [a]\n${bomb}\nsteps: [*x9]`).problems[0]?.message).toMatch(/alias/i);
  });
});
