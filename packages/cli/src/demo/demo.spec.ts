import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CacheOriginSchema, FailureSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { completedRun, digestOf, wholeStory } from '../testing/sample-run.js';
import { RunView } from '../watch/run-view.js';
import { defaultCorpus } from './default-corpus.js';
import { planDemo } from './demo-plan.js';
import { buildReport, finalModelOf } from './demo-report.js';
import { reportMarkdown } from './report-markdown.js';
import { promptFrom } from './sample.js';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const options = { seed: '7', preset: 'pico' };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forge-demo-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A file of the test, by name. */
async function file(name: string, content: string | Buffer): Promise<string> {
  await writeFile(join(folder, name), content);
  return join(folder, name);
}

describe('planDemo()', () => {
  it('takes the corpus, the seed and the preset into the specification', async () => {
    const corpus = await file(
      'book.txt',
      Array.from({ length: 20_000 }, (_, i) => `Line ${i} of the book.\n`).join(''),
    );
    const plan = await planDemo(root, folder, {
      ...options,
      corpus: 'book.txt',
      seed: '18446744073709551615',
      out: 'result',
    });
    expect(plan.spec.spec.seed).toBe(18446744073709551615n);
    expect(plan.outDir).toBe(join(folder, 'result'));
    expect(plan.content.mediaType).toBe('text/plain');
    expect(Buffer.from(plan.content.bytes)).toEqual(await readFile(corpus));
    const sources = plan.spec.spec.steps.map(
      (step) => step.inputs.find(({ port }) => port === 'corpus')?.source,
    );
    for (const source of sources) {
      expect(source).toMatchObject({ kind: 'content', items: [{ kind: 'file', file: plan.corpusFile }] });
    }
  });

  it.each([
    ['missing', {}, /does not exist/],
    ['empty.txt', { content: ' \n' }, /corpus is empty/],
    ['binary.txt', { content: Buffer.from([65, 0, 66]) }, /is binary/],
    ['latin1.txt', { content: Buffer.from([65, 0xe9, 66]) }, /not UTF-8/],
    ['small.txt', { content: 'Too little text to learn from.\n' }, /too small: corpus\.train: \d+ tokens/],
  ])(
    'refuses the corpus %s before anything starts',
    async (name, { content }: { content?: string | Buffer }, message) => {
      if (content !== undefined) await file(name, content);
      await expect(planDemo(root, folder, { ...options, corpus: name })).rejects.toThrow(message);
    },
  );

  it.each(['x', '-1', '1.5', '18446744073709551616', ''])('refuses the seed %p', async (seed) => {
    await expect(planDemo(root, folder, { ...options, seed })).rejects.toThrow(/--seed/);
  });

  it('refuses to replace a folder that is not a model, and a place that is no folder', async () => {
    const corpus = await file('long.txt', Array.from({ length: 20_000 }, (_, i) => `Line ${i}.\n`).join(''));
    await mkdir(join(folder, 'mine', 'model'), { recursive: true });
    await file('mine/model/thesis.tex', 'years of work');
    const plan = (out: string) => planDemo(root, folder, { ...options, corpus, out });
    await expect(plan('mine')).rejects.toThrow(/would be replaced, but holds thesis\.tex/);
    await expect(plan('long.txt')).rejects.toThrow(/--out .* cannot be written: EEXIST/);
  });

  it('packs a folder as JSON lines, one document each', async () => {
    const plan = await planDemo(root, root, { ...options });
    const lines = Buffer.from(plan.content.bytes).toString('utf8').trimEnd().split('\n');
    expect(lines).toHaveLength(plan.corpus.documents.length);
    expect(JSON.parse(lines[0] ?? '')).toEqual({ text: plan.corpus.documents[0]?.text });
    expect(plan.content.mediaType).toBe('application/jsonl');
  });
});

describe('defaultCorpus()', () => {
  it('is about 1.2 MB of distinct texts, the same every time', () => {
    const corpus = defaultCorpus(root);
    expect(corpus.sizeBytes).toBeGreaterThan(1_000_000);
    expect(corpus.sizeBytes).toBeLessThanOrEqual(1_200_000);
    expect(corpus.documents.length).toBeGreaterThan(50);
    expect(corpus.duplicatesDropped).toBe(0);
    expect(defaultCorpus(root).digest).toBe(corpus.digest);
  });
});

describe('buildReport()', () => {
  const run = completedRun();
  const model = finalModelOf(run);
  if (!model) throw new Error('the sample run has a model');
  const report = buildReport(run, model, { prompt: 'Once', text: ' upon a time' });

  it('has the shape that it promises', () => {
    expect(report).toMatchObject({
      run: 'projects/default/runs/demo',
      seed: 7,
      machine: { node: process.versions.node, threads: 2 },
      phases: [
        {
          phase: 'cognate',
          outcome: 'created',
          wallSeconds: 120,
          peakMemoryBytes: 410_000_000,
          backend: 'cpu-avx512',
          artifacts: [
            { name: 'founder-reasoning', digest: digestOf('1'), sizeBytes: 8_019_432 },
            { name: 'founder-memory', digest: digestOf('2'), sizeBytes: 8_019_432 },
          ],
        },
        { phase: 'evomerge', outcome: 'improved' },
      ],
      final: {
        outcome: 'improved',
        model: { name: 'evolved', digest: digestOf('e'), path: 'model' },
        metrics: [
          { name: 'bits_per_byte', value: 2.35, unit: 'bit/byte', split: 'report', subject: 'evolved' },
        ],
      },
    });
    expect(Object.keys(report)).toEqual(['run', 'seed', 'machine', 'phases', 'final']);
    expect(report.phases[0]?.metrics.at(-1)).toEqual({
      name: 'tokens',
      value: 921_600,
      unit: '1',
      split: '',
    });
  });

  it('names a fallback with its cause, and the origin of a reused result', () => {
    const told = completedRun();
    const [founders, evolve] = told.steps;
    if (!founders || !evolve) throw new Error('no steps');
    evolve.usedFallback = true;
    evolve.fallback = 'uniform-average';
    evolve.fallbackCause = create(FailureSchema, { code: 'INTERNAL', message: 'no child improves' });
    founders.cachedFrom = create(CacheOriginSchema, { sourceRun: 'projects/p/runs/r', sourceStepId: 'f' });
    const fallen = buildReport(told, model, { prompt: 'Once', text: '' });
    expect(fallen.phases[0]?.cachedFrom).toEqual({ run: 'projects/p/runs/r', step: 'f' });
    expect(fallen.phases[1]?.fallback).toEqual({
      name: 'uniform-average',
      cause: 'INTERNAL: no child improves',
    });
    const text = reportMarkdown(fallen, new RunView());
    expect(text).toContain('Fallback **uniform-average**, because: INTERNAL: no child improves');
    expect(text).toContain('Result of step f of `projects/p/runs/r`, from the step cache.');
  });

  it('is told to people in Markdown', () => {
    const view = new RunView();
    for (const update of wholeStory()) view.apply(update);
    const machine = {
      ...report.machine,
      os: 'linux 6',
      cpu: 'a CPU',
      cores: 2,
      memoryBytes: 2 ** 34,
      node: '20.19.0',
    };
    expect(reportMarkdown({ ...report, machine }, view)).toMatchSnapshot();
  });
});

describe('promptFrom()', () => {
  it.each([
    ['Before we proceed any further, hear me speak.', 'Before we proceed any further, hear me'],
    ['short', 'short'],
    ['x'.repeat(60), 'x'.repeat(40)],
    ['', ''],
  ])('%p', (text, prompt) => expect(promptFrom(text)).toBe(prompt));
});
