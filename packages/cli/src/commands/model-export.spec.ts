import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LlamaModel, loadModel, presetConfig, saveModel, trainBpe } from '@agentforge/model';
import { Philox } from '@agentforge/tensor';
import { runCommand } from '../run-command.js';
import { fakeIo } from '../testing/fake-io.js';

const CONFIG = presetConfig('pico', { vocabSize: 300, numLayers: 1, intermediateSize: 256 });
const tokenizer = trainBpe(['to be or not to be'.repeat(3)], { vocabSize: 270 });
let cwd: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'forge-export-'));
  const model = LlamaModel.init(CONFIG, new Philox(1));
  await saveModel(join(cwd, 'model'), model, tokenizer);
  model.dispose();
});
afterAll(() => rm(cwd, { recursive: true }));

async function forge(...args: string[]) {
  const io = fakeIo({ cwd });
  const code = await runCommand(io, ['model', ...args], '1.2.3');
  return { code, out: io.out.text, err: io.err.text };
}

describe('forge model export', () => {
  it('writes a GGUF file that info, generate and export read again', async () => {
    const written = await forge('export', 'model', '--to', 'a.gguf', '--format', 'gguf', '--type', 'f32');
    expect(written).toMatchObject({ code: 0, err: '' });
    expect(written.out).toContain(join(cwd, 'a.gguf'));
    const info = await forge('info', 'a.gguf', '-o', 'json');
    expect(JSON.parse(info.out)).toMatchObject({
      config: CONFIG,
      dtypes: 'F32',
      tokenizer: { vocabSize: 300 },
    });
    const generate = ['-p', 'to be', '-n', '8', '--seed', '3', '-o', 'json'];
    const fromFile = JSON.parse((await forge('generate', 'a.gguf', ...generate)).out);
    const fromFolder = JSON.parse((await forge('generate', 'model', ...generate)).out);
    expect(fromFile.tokens).toEqual(fromFolder.tokens);
    expect((await forge('export', 'a.gguf', '--to', 'back')).code).toBe(0);
    const [back, first] = [await loadModel(join(cwd, 'back')), await loadModel(join(cwd, 'model'))];
    expect(back.config).toEqual(first.config);
    for (const [name, values] of back.model.exportWeights()) {
      expect(
        Buffer.from(values.buffer).equals(
          Buffer.from(first.model.exportWeights().get(name)?.buffer ?? new ArrayBuffer(0)),
        ),
      ).toBe(true);
    }
    back.model.dispose();
    first.model.dispose();
  });

  it('says what a ternary type loses of a model that is not ternary', async () => {
    const { code, out, err } = await forge(
      'export',
      'model',
      '--to',
      't.gguf',
      '--format',
      'gguf',
      '--type',
      'tq2_0',
    );
    expect([code, out]).toEqual([0, expect.stringContaining('7 TQ2_0')]);
    // A normal distribution loses a share of √0.19 … √0.27 of its magnitude.
    expect(err).toMatch(/7 matrices were not ternary .* (4[3-9]|5[0-3])(\.\d+)? % of the worst/);
    const again = await forge('export', 't.gguf', '--to', 'u.gguf', '--format', 'gguf', '--type', 'tq1_0');
    expect(again).toMatchObject({ code: 0, err: '' });
  });

  it('writes half precision in Hugging Face layout', async () => {
    expect((await forge('export', 'model', '--to', 'half', '--type', 'bf16')).code).toBe(0);
    expect(JSON.parse((await forge('info', 'half', '-o', 'json')).out).dtypes).toBe('BF16');
  });

  it('refuses every wrong option at once, with exit code 2, and writes nothing', async () => {
    const before = await readdir(cwd);
    const gguf = await forge('export', 'model', '--to', 'folder', '--format', 'gguf', '--type', 'bf16');
    expect(gguf.code).toBe(2);
    expect(gguf.err).toMatch(
      /--type: bf16 is not a type of gguf: f32, f16, q8_0, tq1_0, tq2_0.*--to: folder/,
    );
    const hf = await forge('export', 'model', '--to', 'x', '--type', 'q8_0', '--embedding-type', 'f16');
    expect(hf.code).toBe(2);
    expect(hf.err).toMatch(/--type: q8_0 is not a type of hf.*--embedding-type: needs --format gguf/);
    expect((await forge('export', 'model')).err).toContain('--to <path>');
    expect(await readdir(cwd)).toEqual(before);
  });

  it('names the tensors that a ternary type cannot hold', async () => {
    const narrow = LlamaModel.init({ ...CONFIG, hiddenSize: 96 }, new Philox(1));
    await saveModel(join(cwd, 'narrow'), narrow, tokenizer);
    narrow.dispose();
    const { code, err } = await forge(
      'export',
      'narrow',
      '--to',
      'n.gguf',
      '--format',
      'gguf',
      '--type',
      'tq1_0',
    );
    expect(code).toBe(2);
    expect(err).toContain('model.layers.0.self_attn.q_proj.weight');
    expect(err).toContain('rows of 96; TQ1_0 needs multiples of 256');
  });

  it('says what is wrong with a damaged file', async () => {
    await writeFile(join(cwd, 'bad.gguf'), 'GGUF and nothing more');
    const { code, err } = await forge('info', 'bad.gguf');
    expect(code).toBe(2);
    expect(err).toMatch(/bad\.gguf is not a usable GGUF file: header: version is/);
  });
});
