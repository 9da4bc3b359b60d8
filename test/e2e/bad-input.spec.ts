import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type ArtifactRef,
  PipelineService,
  type Run,
  RunEventBatchSchema,
  RunState,
  StepReportSchema,
  StepTaskSchema,
  WaitKind,
} from '@agentforge/contracts';
import type { AppError } from '@agentforge/errors';
import { attemptIdOf, STREAMS } from '@agentforge/events';
import { publishRaw } from '@agentforge/events/testing';
import { createClient } from '@agentforge/service-kit';
import { create as message, toBinary } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { eventually, LocalSystem } from './local-system.js';
import { type StepInit as Step, smallPipeline } from './pipeline-spec.js';

const PROBE = fileURLToPath(new URL('../probe-phase/main.mjs', import.meta.url));
/** Calls that one client may make per second; twice as many at once. */
const CALLS_PER_SECOND = 40;

/** What a step waits for whose task is in the queue. */
const QUEUED = new Set([WaitKind.QUEUED_BEHIND, WaitKind.QUEUED_NO_WORKER]);

/** A dead letter as the command line prints it. */
interface Letter {
  readonly sequence: string;
  readonly reason: string;
  readonly message: string;
  readonly run?: string;
  readonly phase?: string;
  readonly truncated?: boolean;
}

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
    system = await LocalSystem.start(
      { FORGE_CLIENT_CALLS_PER_SECOND: String(CALLS_PER_SECOND), FORGE_UNCLAIMED_TASK_MS: '500' },
      ['--service', `phase-probe=${PROBE}`],
    );
    valid = await smallPipeline(system);
    corpus = await system.uploadCorpus('a corpus of one line\n');
  }, 150_000);
  afterAll(() => system.stop(), 60_000);

  const found = () => structuredClone(valid.steps[0]);
  const evolve = () => structuredClone(valid.steps[1]);
  const think = () => structuredClone(valid.steps[2]);
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
    [
      'a number above what another field allows',
      () => [found(), evolve(), { ...think(), config: { ...think().config, first_thought_length: 3 } }],
      /^graph\.steps\[2\]\.config\.first_thought_length$/,
      /at most thought_length \(2\)/,
    ],
    [
      'a strategy without what it needs',
      () => [found(), { ...evolve(), config: { strategy: 'nsga2', vector: { operator: 'linear' } } }],
      /^graph\.steps\[1\]\.config\.strategy$/,
      /different sizes/,
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

  it('a client that floods is refused with the time to wait, and another one is served meanwhile', async () => {
    const clientOf = (tenant: string) =>
      createClient(PipelineService, system.server, {
        headers: { 'x-forge-tenant': tenant },
        retries: { attempts: 1 },
        deadlineMs: 30_000,
      });
    const [flooding, modest] = [clientOf('flooding'), clientOf('modest')];
    try {
      const refused: AppError[] = [];
      /** In bursts: this process has to serve the other client, too. */
      const burst = (calls: number) =>
        Promise.all(
          Array.from({ length: calls }, () =>
            flooding.listPhases({}).catch((error: AppError) => refused.push(error)),
          ),
        );
      await eventually('the flood is refused', async () => {
        await burst(4 * CALLS_PER_SECOND);
        return refused.length > 0;
      });
      for (let i = 0; i < 5; i++) {
        const flood = burst(2 * CALLS_PER_SECOND);
        await modest.listPhases({});
        await flood;
      }
      for (const { code, reason, retryAfterMs } of refused) {
        expect({ code, reason }).toEqual({ code: 'RESOURCE_EXHAUSTED', reason: 'CLIENT_LIMIT' });
        expect(retryAfterMs).toBeGreaterThan(0);
      }
      const wait = Math.max(...refused.map(({ retryAfterMs = 0 }) => retryAfterMs));
      await sleep(wait + 100);
      await expect(flooding.listPhases({})).resolves.toBeDefined();
    } finally {
      flooding.close();
      modest.close();
    }
  }, 60_000);

  const probe = (id: string, config = {}) =>
    ({ id, phase: 'probe', config, retry: { maxAttempts: 1 }, allowFallback: false }) as Step;
  const begin = async (runId: string, step: Step) =>
    (await system.pipeline.createRun({ parent: 'projects/default', runId, graph: { steps: [step] } })).run
      ?.name ?? '';
  const letters = async (...filter: string[]) =>
    JSON.parse(await system.forge('dlq', 'list', '-o', 'json', ...filter)) as Letter[];
  const letterOf = (...filter: string[]) =>
    eventually(`a letter of ${filter}`, async () => (await letters(...filter))[0]);

  describe('a task that cannot be processed', () => {
    /** The task of the first attempt, as a release that we do not know would write it. */
    const taskOf = (run: string, version: number) =>
      toBinary(
        StepTaskSchema,
        message(StepTaskSchema, {
          run,
          stepId: 'victim',
          attemptId: attemptIdOf(run, 'victim', 1),
          attemptNumber: 1,
          phase: 'probe',
          fencingToken: 1n,
          version,
        }),
      );
    const bad: [what: string, bytes: (run: string) => Uint8Array, reason: string, words: RegExp][] = [
      ['version', (run) => taskOf(run, 99), 'UNSUPPORTED_VERSION', /99/],
      ['truncated', (run) => taskOf(run, 1).subarray(0, -3), 'MALFORMED_MESSAGE', /task/i],
      ['oversized', () => new Uint8Array(1_000_000), 'MALFORMED_MESSAGE', /task/i],
    ];

    it('is put aside with its reason, blocks nothing, and is driven again by one command', async () => {
      const holder = await begin('holds-the-worker', probe('holder', { units: 100_000, unit_ms: 20 }));
      const isHeld = async () => {
        const { run } = await system.pipeline.getRun({ name: holder });
        return (run?.steps[0]?.attempts.at(-1)?.worker ?? '') !== '';
      };
      await eventually('the worker has a task', isHeld);
      for (const [what, bytes] of bad) {
        const run = await begin(`bad-${what}`, probe('victim'));
        const subject = `forge.tasks.probe.${attemptIdOf(run, 'victim', 1)}`;
        await eventually(`${what}: the task is queued`, async () => {
          const { waits } = await system.pipeline.explainStep({ run, stepId: 'victim' });
          return waits.some(({ kind }) => QUEUED.has(kind));
        });
        await publishRaw(system.natsUrl, { subject, data: bytes(run), replacesIn: STREAMS.tasks });
      }
      const after = await begin('behind-bad-tasks', probe('behind'));
      await system.pipeline.cancelRun({ name: holder });
      expect((await ended(after)).state).toBe(RunState.COMPLETED);

      const names = bad.map(([what]) => `projects/default/runs/bad-${what}`);
      for (const name of names) expect((await ended(name)).state).toBe(RunState.FAILED);
      const kept = new Map((await letters('--origin', 'tasks')).map((letter) => [letter.run, letter]));
      for (const [what, , reason, words] of bad) {
        const letter = kept.get(`projects/default/runs/bad-${what}`);
        expect(letter).toMatchObject({ reason, message: expect.stringMatching(words), phase: 'probe' });
        const sequence = letter?.sequence ?? '';
        const shown = await system.forge('dlq', 'show', sequence);
        expect(shown).toContain(reason);
        expect(shown.includes('only the first part is kept')).toBe(what === 'oversized');
        await system.forge('dlq', 'redrive', sequence);
      }
      for (const name of names) expect((await ended(name)).state).toBe(RunState.COMPLETED);
      expect(await letters('--origin', 'tasks')).toEqual([]);
    }, 180_000);

    it('of a phase that nobody serves is put aside as well', async () => {
      const data = new Uint8Array([1, 2, 3]);
      await publishRaw(system.natsUrl, { subject: 'forge.tasks.nobody.default.r.s.1', data });
      const letter = await letterOf('--phase', 'nobody', '--origin', 'tasks');
      expect(letter).toMatchObject({ reason: 'PHASE_UNKNOWN', message: expect.stringMatching(/nobody/) });
      await expect(system.forge('dlq', 'redrive', letter.sequence)).rejects.toThrow(
        /not sent again.*no step/,
      );
      expect(await letters('--phase', 'nobody', '--origin', 'tasks')).toHaveLength(1);
    }, 60_000);
  });

  it('a report that cannot be read is put aside with its reason, and the run that it names goes on', async () => {
    const name = await begin('bad-reports', probe('victim', { units: 80, unit_ms: 50 }));
    const attemptId = attemptIdOf(name, 'victim', 1);
    await eventually('the worker has the task', async () => {
      const { run } = await system.pipeline.getRun({ name });
      return (run?.steps[0]?.attempts.at(-1)?.worker ?? '') !== '';
    });
    const reportOf = (version: number) =>
      toBinary(
        StepReportSchema,
        message(StepReportSchema, {
          run: name,
          stepId: 'victim',
          attemptId,
          fencingToken: 1n,
          version,
          worker: 'nobody',
          payload: { case: 'succeeded', value: { result: { outcome: 'forged' } } },
        }),
      );
    const bad: [bytes: Uint8Array, reason: string, words: RegExp][] = [
      [reportOf(99), 'UNSUPPORTED_VERSION', /99/],
      [reportOf(1).subarray(0, -3), 'MALFORMED_MESSAGE', /report/i],
      [new Uint8Array([1, 2, 3]), 'MALFORMED_MESSAGE', /report/i],
    ];
    for (const [i, [data]] of bad.entries())
      await publishRaw(system.natsUrl, {
        subject: 'forge.reports.probe',
        data,
        messageId: `${attemptId}:succeeded:bad-${i}`,
      });
    const kept = await eventually('a letter of each', async () => {
      const found = await letters('--origin', 'reports');
      return found.length >= bad.length && found;
    });
    for (const [, reason, words] of bad)
      expect(kept).toContainEqual(
        expect.objectContaining({ run: name, reason, message: expect.stringMatching(words) }),
      );
    const run = await ended(name);
    expect(run.state).toBe(RunState.COMPLETED);
    expect(run.steps[0]?.result?.outcome).toBe('worked');
    expect(run.steps[0]?.attempts).toHaveLength(1);
  }, 120_000);

  it('an event that cannot be read puts its run into quarantine, as it was, and no other run', async () => {
    const batchOf = (run: string, version: number) =>
      toBinary(
        RunEventBatchSchema,
        message(RunEventBatchSchema, {
          run,
          version,
          events: [{ time: timestampNow(), actor: 'nobody', payload: { case: 'runPaused', value: {} } }],
        }),
      );
    const bad: [what: string, bytes: (run: string) => Uint8Array, words: RegExp][] = [
      ['version', (run) => batchOf(run, 99), /99|upgrade/],
      ['truncated', (run) => batchOf(run, 1).subarray(0, -3), /./],
      ['garbage', () => new Uint8Array([1, 2, 3]), /./],
    ];
    for (const [what, bytes, words] of bad) {
      const runId = `bad-event-${what}`;
      const name = await begin(runId, probe('only'));
      await ended(name);
      await publishRaw(system.natsUrl, { subject: `forge.runs.default.${runId}`, data: bytes(name) });
      const run = await eventually(`${what}: the quarantine is shown`, async () => {
        const { run: now } = await system.pipeline.getRun({ name });
        return now?.quarantine && now;
      });
      expect(run.state).toBe(RunState.COMPLETED);
      expect(run.quarantine).toMatchObject({ code: 'DATA_LOSS', message: expect.stringMatching(words) });
      const error = await refusal(system.pipeline.retryRun({ name, stepIds: ['only'] }));
      expect(error).toMatchObject({ code: 'DATA_LOSS', reason: 'RUN_QUARANTINED' });
    }
    expect((await ended(await begin('beside-bad-events', probe('only')))).state).toBe(RunState.COMPLETED);
  }, 120_000);

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
