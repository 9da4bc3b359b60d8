import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FailureClass } from '@agentforge/contracts';
import { PhaseBench } from '@agentforge/phase-runtime/testing';
import { readJournal } from './journal.mjs';
import { expectedDigest } from './outcome.mjs';
import { probePhase } from './probe.phase.mjs';

describe('the probe phase', () => {
  let bench: PhaseBench;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'forge-journal-'));
    process.env['FORGE_PROBE_JOURNAL_DIR'] = folder;
    bench = await PhaseBench.open(probePhase);
    bench.startProcess(new URL('./main.mjs', import.meta.url));
  });
  afterAll(async () => {
    await bench.close();
    delete process.env['FORGE_PROBE_JOURNAL_DIR'];
    rmSync(folder, { recursive: true, force: true });
  });

  it('delivers what its configuration, seed and inputs determine, and writes down what it did', async () => {
    const config = { units: 7, checkpoint_every: 3, output_bytes: 500, journal_key: 'works' };
    const task = await bench.submit(config);
    await bench.report(task, 'succeeded');
    expect(await bench.digests(task)).toEqual([expectedDigest(config, 42n, [])]);
    const kinds = readJournal(folder)
      .filter(({ key }) => key === 'works')
      .map(({ kind, unit }) => `${kind} ${unit}`);
    expect(kinds).toEqual([
      'begin 0',
      ...['unit 0', 'unit 1', 'unit 2', 'checkpoint 3', 'unit 3', 'unit 4', 'unit 5', 'checkpoint 6'],
      ...['unit 6', 'done 7'],
    ]);
  });

  it('delivers something else for other units, seeds, inputs and the fallback', () => {
    const same = expectedDigest({ units: 5 }, 1n, []);
    expect(expectedDigest({ units: 5 }, 1n, [])).toBe(same);
    const others = [
      expectedDigest({ units: 6 }, 1n, []),
      expectedDigest({ units: 5 }, 2n, []),
      expectedDigest({ units: 5 }, 1n, ['sha256:1']),
      expectedDigest({ units: 5 }, 1n, [], true),
      expectedDigest({ units: 5, output_bytes: 2000 }, 1n, []),
    ];
    expect(new Set([same, ...others]).size).toBe(6);
  });

  it.each([
    ['transient', FailureClass.TRANSIENT],
    ['permanent', FailureClass.PERMANENT],
    ['resource', FailureClass.RESOURCE],
  ] as const)('fails the attempts that it is told to, with class %s', async (failClass, failureClass) => {
    const config = { fail_first: 1, fail_class: failClass, journal_key: `fails-${failClass}` };
    const { failure } = await bench.report(await bench.submit(config), 'failed');
    expect(failure).toMatchObject({ reason: 'TOLD_TO_FAIL', failureClass });
    await bench.report(await bench.submit(config), 'succeeded');
  });

  it('survives asking for more memory than there is', async () => {
    const { failure } = await bench.report(await bench.submit({ memory_bytes: 2 ** 52 }), 'failed');
    expect(failure).toMatchObject({ code: 'RESOURCE_EXHAUSTED', failureClass: FailureClass.RESOURCE });
  });
});
