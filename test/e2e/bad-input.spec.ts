import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ArtifactRef, type Run, RunState } from '@agentforge/contracts';
import type { AppError } from '@agentforge/errors';
import { eventually, LocalSystem } from './local-system.js';
import { type StepInit as Step, smallPipeline } from './pipeline-spec.js';

const PROBE = fileURLToPath(new URL('../probe-phase/main.mjs', import.meta.url));

type Graph = Awaited<ReturnType<typeof smallPipeline>>;

/** The error that a call ends with. */
async function refusal(call: Promise<unknown>): Promise<AppError> {
  try {
    await call;
  } catch (error) {
    return error as AppError;
  }
  throw new Error('the call was accepted');
}

describe('bad input', () => {
  let system: LocalSystem;
  let valid: Graph;
  let corpus: ArtifactRef;

  beforeAll(async () => {
    system = await LocalSystem.start({}, ['--service', `phase-probe=${PROBE}`]);
    valid = await smallPipeline(system);
    corpus = await system.uploadCorpus('a corpus of one line\n');
  }, 150_000);
  afterAll(() => system.stop(), 60_000);

  const found = () => structuredClone(valid.steps[0]);
  const evolve = () => structuredClone(valid.steps[1]);
  const bind = (step: Step, inputs: unknown) => ({ ...step, inputs }) as Step;
  const create = (steps: Step[], runId = '') =>
    system.pipeline.createRun({ parent: 'projects/default', runId, graph: { ...valid, steps } });

  const cases: [what: string, steps: () => Step[], field: RegExp, words: RegExp][] = [
    ['an unknown phase', () => [{ ...found(), phase: 'cognat' }], /steps\[0\]\.phase/, /cognate/],
    [
      'an unknown field',
      () => [{ ...found(), config: { ...found().config, learning_rat: 0.1 } }],
      /steps\[0\]\.config\.learning_rat/,
      /./,
    ],
    [
      'a number out of range',
      () => [{ ...found(), config: { ...found().config, learning_rate: 7 } }],
      /steps\[0\]\.config\.learning_rate/,
      /1/,
    ],
    [
      'a value of the wrong type',
      () => [{ ...found(), config: { ...found().config, steps: 'many' } }],
      /steps\[0\]\.config\.steps/,
      /./,
    ],
    ['a missing input', () => [{ ...found(), inputs: [] }], /steps\[0\]\.inputs/, /corpus/],
    [
      'an input of the wrong artifact type',
      () => [
        found(),
        bind(evolve(), [
          { port: 'models', source: { case: 'stepOutput', value: { stepId: 'found', output: 'report' } } },
          ...(evolve().inputs ?? []).slice(1),
        ]),
      ],
      /steps\[1\]\.inputs\[0\]/,
      /report/,
    ],
    ['a cycle', () => [{ ...found(), after: ['evolve'] }, evolve()], /steps/, /cycle/i],
    ['a duplicate step', () => [found(), found()], /steps\[1\]\.id/, /found/],
    [
      'a malformed digest',
      () => [
        bind(found(), [
          {
            port: 'corpus',
            source: { case: 'artifacts', value: { refs: [{ ...corpus, digest: 'sha256:../../x' }] } },
          },
        ]),
      ],
      /steps\[0\]\.inputs\[0\]/,
      /sha256:/,
    ],
  ];

  it.each(cases)('%s is refused with its field', async (_, steps, field, words) => {
    const error = await refusal(create(steps()));
    expect(error.code).toBe('INVALID_ARGUMENT');
    const hit = error.fieldViolations.filter((violation) => field.test(violation.field));
    expect(hit.map(({ field: path }) => path)).not.toEqual([]);
    expect(hit.map(({ description }) => description).join('\n')).toMatch(words);
  });

  it('reports everything that is wrong at once', async () => {
    const steps = [
      { ...found(), phase: 'cognat' },
      { ...evolve(), config: { generations: -1, colour: 'red' }, after: ['nobody'] },
    ];
    const error = await refusal(create(steps));
    const fields = error.fieldViolations.map(({ field }) => field).join('\n');
    expect(fields).toMatch(/steps\[0\]\.phase/);
    expect(fields).toMatch(/steps\[1\]\.config\.generations/);
    expect(fields).toMatch(/steps\[1\]\.config\.colour/);
    expect(fields).toMatch(/steps\[1\]\.after/);
  });

  it('an oversized request is RESOURCE_EXHAUSTED and the front door stays up', async () => {
    const error = await refusal(
      system.pipeline.createRun({
        parent: 'projects/default',
        displayName: 'x'.repeat(6 << 20),
        graph: valid,
      }),
    );
    expect(error.code).toBe('RESOURCE_EXHAUSTED');
    await expect(system.pipeline.listPhases({})).resolves.toBeDefined();
  });

  it.each(['projects/default/runs/nobody', 'projects/../runs/x', 'nobody', ''])(
    'unknown run %p',
    async (name) => {
      const error = await refusal(system.pipeline.getRun({ name }));
      expect(error.code).toBe(name === 'projects/default/runs/nobody' ? 'NOT_FOUND' : 'INVALID_ARGUMENT');
    },
  );

  it('a request id that comes again with another body is ALREADY_EXISTS; the same body is the same run', async () => {
    const ask = (displayName: string) =>
      system.pipeline.createRun({
        parent: 'projects/default',
        requestId: 'asked-once',
        displayName,
        graph: { steps: [{ id: 'only', phase: 'probe' }] },
      });
    const { run } = await ask('first');
    expect((await ask('first')).run?.name).toBe(run?.name);
    expect(await refusal(ask('second'))).toMatchObject({
      code: 'ALREADY_EXISTS',
      reason: 'REQUEST_ID_REUSED',
      message: expect.stringContaining(run?.name ?? 'a name'),
    });
  });

  it('an illegal transition is FAILED_PRECONDITION', async () => {
    const { run } = await create([found()], 'illegal');
    const name = run?.name ?? '';
    await system.pipeline.cancelRun({ name });
    await ended(name);
    for (const call of [
      system.pipeline.pauseRun({ name }),
      system.pipeline.resumeRun({ name }),
      system.pipeline.cancelRun({ name }),
    ]) {
      expect((await refusal(call)).code).toBe('FAILED_PRECONDITION');
    }
  });

  const ended = (name: string) =>
    eventually(`end of ${name}`, async () => {
      const { run } = await system.pipeline.getRun({ name });
      return run && [RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED].includes(run.state) && run;
    });

  async function runOn(content: Uint8Array, runId: string): Promise<Run> {
    const { ref } = await upload(content);
    const step = found();
    const inputs = [
      { port: 'corpus', source: { case: 'artifacts' as const, value: { refs: ref ? [ref] : [] } } },
    ];
    const { run } = await create([bind(step, inputs)], runId);
    return ended(run?.name ?? '');
  }

  function upload(content: Uint8Array, digest = '') {
    return system.artifacts.uploadArtifact(
      (async function* () {
        const value = { name: 'corpus', type: 'corpus', mediaType: 'text/plain', digest };
        yield { part: { case: 'header' as const, value } };
        if (content.length > 0) yield { part: { case: 'chunk' as const, value: content } };
      })(),
    );
  }

  it('an empty upload is refused', async () => {
    expect((await refusal(upload(new Uint8Array()))).code).toBe('INVALID_ARGUMENT');
  });

  it('an upload that does not match its digest is refused and not kept', async () => {
    const content = new TextEncoder().encode('not what was announced');
    const announced = `sha256:${'0'.repeat(64)}`;
    expect((await refusal(upload(content, announced))).code).toBe('INVALID_ARGUMENT');
    const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
    expect((await refusal(system.artifacts.getArtifact({ digest }))).code).toBe('NOT_FOUND');
  });

  it.each([
    ['a binary corpus', new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0, 0, 0xff, 0xfe]), /UTF-8|text|binary/i],
    ['a corpus smaller than one batch', new TextEncoder().encode('too small\n'), /small|bytes|tokens/i],
  ])(
    '%s fails the run at once, with the reason',
    async (what, content, words) => {
      const run = await runOn(content, what.replaceAll(' ', '-'));
      expect(run.state).toBe(RunState.FAILED);
      expect(run.failure?.code).toBe('INVALID_ARGUMENT');
      const said = [
        run.failure?.message,
        ...(run.failure?.fieldViolations ?? []).map((v) => v.description),
      ].join('\n');
      expect(said).toMatch(words);
      expect(run.steps[0]?.attempts.length).toBeLessThanOrEqual(1);
    },
    60_000,
  );

  it('a flipped byte in the store is found by download and by verification', async () => {
    const text = `content that will be damaged ${'x'.repeat(100)}`;
    const ref = await system.uploadCorpus(text);
    const hex = ref.digest.slice('sha256:'.length);
    const file = locate(join(system.dataDir, 'artifacts'), hex);
    const bytes = readFileSync(file);
    bytes[3] = (bytes[3] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    const read = (async () => {
      for await (const _ of system.artifacts.downloadArtifact({ digest: ref.digest }));
    })();
    expect((await refusal(read)).code).toBe('DATA_LOSS');
    const report = await system.artifacts.verifyArtifact({ digest: ref.digest });
    expect(report.valid).toBe(false);
    expect(report.problems.join('\n')).toContain(ref.digest);
  });

  it.each(['../../../etc/passwd', '/etc/passwd', 'a/../../b', 'a\\..\\b'])(
    'the file path %p is refused',
    async (path) => {
      const read = (async () => {
        for await (const _ of system.artifacts.downloadArtifact({ digest: corpus.digest, path }));
      })();
      expect(['INVALID_ARGUMENT', 'NOT_FOUND']).toContain((await refusal(read)).code);
    },
  );

  it('a corrupt safetensors file is refused before any merge', async () => {
    const broken = await upload(new TextEncoder().encode('this is no safetensors file'));
    const file = { path: 'model.safetensors', digest: broken.ref?.digest ?? '', size_bytes: '27' };
    const text = JSON.stringify({ annotations: {}, files: [file] });
    const manifest = await upload(new TextEncoder().encode(text));
    const ref = {
      ...manifest.ref,
      mediaType: 'application/vnd.agentforge.model.v1+json',
      type: 'model',
      name: 'broken',
    };
    const step = evolve();
    const models = { port: 'models', source: { case: 'artifacts' as const, value: { refs: [ref, ref] } } };
    const inputs = [models, ...(step.inputs ?? []).slice(1)];
    const { run } = await create([bind(step, inputs)], 'broken-model');
    const end = await ended(run?.name ?? '');
    expect(end.state).toBe(RunState.FAILED);
    expect(['INVALID_ARGUMENT', 'DATA_LOSS']).toContain(end.failure?.code);
    expect(JSON.stringify(end.failure, (_, v) => (typeof v === 'bigint' ? String(v) : v))).toMatch(
      /safetensors|manifest/,
    );
  }, 60_000);
});

/** The stored file of a digest, wherever the driver keeps it. */
function locate(folder: string, hex: string): string {
  const hit = readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .find((path) => statSync(path).isFile() && path.replaceAll('/', '').endsWith(hex));
  if (!hit) throw new Error(`no file for ${hex}`);
  return hit;
}
