import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Figure } from '../load/engine/targets.mjs';

const BENCH = fileURLToPath(new URL('../load/engine/run.mjs', import.meta.url));
const STEPS = 10_000;
/**
 * What may be held of a step once its run has ended, KiB of heap after a collection: twice what it is. Five events make a
 * step; a service that kept them, or the record of the step as each of them left it, would hold more.
 */
const HELD_KIB = { orchestrator: 4, 'pipeline-controller': 6 };

// The memory of a process is read from /proc.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('a graph of ten thousand steps', () => {
  let folder: string;
  let figures: Figure[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'forge-large-'));
    const json = join(folder, 'figures.json');
    const args = ['--only', 'large', '--large', String(STEPS), '--limit', '240', '--json', json];
    // It fails when the run does not complete, or when its pages do not have every step once.
    await promisify(execFile)(process.execPath, [BENCH, ...args]).catch((error) => {
      throw new Error(`${error.stdout}\n${error.stderr}`);
    });
    ({ figures } = JSON.parse(readFileSync(json, 'utf8')) as { figures: Figure[] });
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const figure = (name: string) => figures.find((one) => one.name === name);

  it('is accepted as one run, executed by the engine to its end, and read in pages', () => {
    expect(figure('create a large run')?.shape).toBe('10,000 steps');
    expect(figure('run it')?.value).toBeGreaterThan(0);
    // Five times all of it.
    expect(figure('page of 1000 steps, slowest')?.shape).toBe('10,000 steps, 50 pages');
    expect(figure('page of 100 steps, slowest')?.shape).toBe('10,000 steps, 500 pages');
  });

  it.each(Object.entries(HELD_KIB))('leaves nothing behind in the %s but its steps', (service, most) => {
    expect(figure(`memory of a step, ${service}`)?.value).toBeLessThan(most);
  });
});
