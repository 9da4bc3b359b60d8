import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LlamaModel, loadModel, presetConfig, saveModel, trainBpe } from '@agentforge/model';
import { Philox } from '@agentforge/tensor';
import { runCommand } from '../run-command.js';
import { fakeIo } from '../testing/fake-io.js';

const CONFIG = presetConfig('pico', {
  vocabSize: 300,
  numLayers: 2,
  hiddenSize: 32,
  intermediateSize: 48,
  headDim: 16,
});
const tokenizer = trainBpe(['to be or not to be'.repeat(3)], { vocabSize: 270 });
const RECIPE = 'merge_method: slerp\nbase_model: a\nmodels: [{model: a}, {model: b}]\nparameters: {t: 0.5}\n';
let cwd: string;

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'forge-merge-'));
  for (const [i, name] of ['a', 'b'].entries()) {
    const model = LlamaModel.init(CONFIG, new Philox(i));
    await saveModel(join(cwd, 'models', name), model, tokenizer);
    model.dispose();
  }
  await writeFile(join(cwd, 'r.yaml'), RECIPE);
});
afterEach(() => rm(cwd, { recursive: true, force: true }));

async function forge(args: string[], options: { stdin?: string; isTTY?: boolean } = {}, interrupted = false) {
  const io = fakeIo({ cwd, ...options });
  if (interrupted) io.interrupt.abort(new Error('stopped'));
  const code = await runCommand(io, ['merge', ...args], '1.2.3');
  return { code, out: io.out.text, err: io.err.text };
}

describe('forge merge', () => {
  it('merges, and reports tensors, bytes, seconds and memory', async () => {
    const { code, out, err } = await forge(['r.yaml', 'out', '--base-dir', 'models']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(
      /merged .*out by slerp: \d+ tensors, 2 layers, [\d.]+ KiB in .*s, at most [\d.]+ [MG]iB of memory/,
    );
    const { model, config } = await loadModel(join(cwd, 'out'));
    expect(config).toEqual(CONFIG);
    model.dispose();
  });

  it('reads standard input, prints JSON, and shows progress on a terminal only', async () => {
    const { code, out, err } = await forge(['-', 'out', '--base-dir', 'models', '--json'], {
      stdin: RECIPE,
      isTTY: true,
    });
    expect(code).toBe(0);
    expect(err).toContain('0 %  0 of ');
    expect(JSON.parse(out)).toMatchObject({ folder: join(cwd, 'out'), method: 'slerp', layers: 2 });
    expect(JSON.parse(out).peakBytes).toBeGreaterThan(2 ** 20);
  });

  it('spreads the weights over files of --max-shard-size', async () => {
    const args = ['r.yaml', 'out', '--base-dir', 'models', '--max-shard-size'];
    expect((await forge([...args, '20KB'])).code).toBe(0);
    expect(await readdir(join(cwd, 'out'))).toContain('model.safetensors.index.json');
    const { model, config } = await loadModel(join(cwd, 'out'));
    expect(config).toEqual(CONFIG);
    model.dispose();
    const { code, err } = await forge([...args, 'much']);
    expect(code).toBe(2);
    expect(err).toContain('Expected bytes, as 5GB');
  });

  it('says what it would do, and does nothing, with --dry-run', async () => {
    const { code, out } = await forge(['r.yaml', 'out', '--base-dir', 'models', '--dry-run']);
    expect(code).toBe(0);
    expect(out).toMatch(/slerp of a, b: \d+ tensors, 2 layers.*largest tensor needs/);
    const json = await forge(['r.yaml', 'out', '--base-dir', 'models', '--dry-run', '--json']);
    expect(JSON.parse(json.out)).toMatchObject({
      dryRun: true,
      merges: [{ method: 'slerp', models: ['a', 'b'] }],
    });
    expect(await readdir(cwd)).toEqual(['models', 'r.yaml']);
  });

  it('notes what has no effect', async () => {
    await writeFile(join(cwd, 'r.yaml'), RECIPE.replace('{t: 0.5}', '{t: 0.5, int8_mask: true}'));
    expect((await forge(['r.yaml', 'out', '--base-dir', 'models'])).err).toBe(
      'note: int8_mask has no effect on slerp\n',
    );
  });

  it('shows every problem with its line, exits with 2, and writes nothing', async () => {
    await writeFile(join(cwd, 'r.yaml'), `${RECIPE.replace('0.5', 'half')}dtype: int3\n`);
    const wrong = await forge(['r.yaml', 'out', '--base-dir', 'models']);
    expect(wrong.code).toBe(2);
    expect(wrong.err).toContain('r.yaml:4:17: error: parameters.t: is "half"; a number');
    expect(wrong.err).toContain('r.yaml:5:8: error: dtype: "int3" is none of float32, float16, bfloat16');
    await writeFile(join(cwd, 'r.yaml'), RECIPE.replace('{model: b}', '{model: org/b}'));
    const missing = await forge(['r.yaml', 'out', '--base-dir', 'models']);
    expect(missing.code).toBe(2);
    expect(missing.err).toContain('Models are not downloaded');
    expect(await readdir(cwd)).toEqual(['models', 'r.yaml']);
  });

  it('refuses a folder in use and a recipe that is not there', async () => {
    const used = await forge(['r.yaml', 'models', '--base-dir', 'models']);
    expect(used).toMatchObject({ code: 2, err: expect.stringContaining('models exists and is not empty') });
    const none = await forge(['none.yaml', 'out']);
    expect(none).toMatchObject({ code: 2, err: expect.stringContaining('recipe none.yaml cannot be read') });
  });

  it('leaves nothing when it is interrupted', async () => {
    const { code, err } = await forge(['r.yaml', 'out', '--base-dir', 'models'], {}, true);
    expect(code).toBe(1);
    expect(err).toContain('stopped');
    expect(await readdir(cwd)).toEqual(['models', 'r.yaml']);
    expect(await readFile(join(cwd, 'r.yaml'), 'utf8')).toBe(RECIPE);
  });
});
