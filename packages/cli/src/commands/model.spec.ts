import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  encodeThoughtFiles,
  generateText,
  generateThinking,
  LlamaModel,
  loadModel,
  MixingHead,
  presetConfig,
  saveModel,
  THOUGHTS_FILE,
  ThinkingModel,
  trainBpe,
} from '@agentforge/model';
import { Philox, uniform } from '@agentforge/tensor';
import { InterruptedError } from '../errors.js';
import { runCommand } from '../run-command.js';
import { fakeIo } from '../testing/fake-io.js';

const CONFIG = presetConfig('pico', {
  vocabSize: 300,
  hiddenSize: 64,
  numLayers: 1,
  intermediateSize: 64,
  contextLength: 64,
});
const TEXT = 'the cat sat on the mat and the dog sat on the log\n';
const tokenizer = trainBpe([TEXT.repeat(4)], { vocabSize: 290 });
let cwd: string;
let model: LlamaModel;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'forge-model-'));
  model = LlamaModel.init(CONFIG, new Philox(1));
  await saveModel(join(cwd, 'model'), model, tokenizer);
  await writeFile(join(cwd, 'text.txt'), TEXT.repeat(3));
});
afterAll(async () => {
  model.dispose();
  await rm(cwd, { recursive: true });
});

async function forge(args: string[], stdin = '') {
  const io = fakeIo({ cwd, stdin });
  const code = await runCommand(io, ['model', ...args], '1.2.3');
  return { code, out: io.out.text, err: io.err.text };
}

describe('forge model generate', () => {
  const options = ['generate', 'model', '-p', 'the cat', '-n', '12', '--seed', '4'];

  it('reasons for fewer steps when asked to, and refuses steps that there are not', async () => {
    const recursion = { latentSteps: 1, cycles: 1, supervisionSteps: 3, haltThreshold: 0.9 };
    const recursive = LlamaModel.init({ ...CONFIG, recursion }, new Philox(2));
    const sharp = new Philox(3);
    for (const parameter of recursive.parameters())
      if (parameter.shape.length > 1)
        parameter.write(uniform(sharp, parameter.shape, -0.5, 0.5).toFloat32Array());
    await saveModel(join(cwd, 'recursive'), recursive, tokenizer);
    const fewer = recursive.reasoningFor(1);
    const texts = await Promise.all(
      [recursive, fewer].map((one) =>
        generateText(one, tokenizer, 'the cat', { maxTokens: 12, temperature: 0 }),
      ),
    );
    expect(texts[0]?.text).not.toBe(texts[1]?.text);
    const greedy = ['-p', 'the cat', '-n', '12', '-t', '0'];
    for (const [args, expected] of [
      [[], texts[0]],
      [['--ponder-steps', '1'], texts[1]],
    ] as const)
      expect((await forge(['generate', 'recursive', ...greedy, ...args])).out).toBe(
        `the cat${expected?.text}\n`,
      );
    for (const where of ['recursive', 'model']) {
      const { code, err } = await forge(['generate', where, ...greedy, '--ponder-steps', '4']);
      expect(code).not.toBe(0);
      expect(err).toMatch(/steps is 4/);
    }
    expect((await forge(['generate', 'model', '--think', '--ponder-steps', '1'])).err).toMatch(
      /cannot think/,
    );
    for (const one of [recursive, fewer]) one.dispose();
  });

  it('prints the text as it comes, and what it took on standard error', async () => {
    const expected = await generateText(model, tokenizer, 'the cat', {
      maxTokens: 12,
      temperature: 0.8,
      seed: 4,
    });
    const { code, out, err } = await forge(options);
    expect([code, out]).toEqual([0, `the cat${expected.text}\n`]);
    expect(err).toMatch(
      new RegExp(`^${expected.tokens.length} tokens, ended by ${expected.finish}, [\\d,]+ tokens/s`),
    );
  });

  it('draws several samples, each with a seed of its own', async () => {
    const { samples } = JSON.parse((await forge([...options, '--samples', '3', '-o', 'json'])).out);
    const alone = await Promise.all(
      [4, 5, 6].map((seed) =>
        generateText(model, tokenizer, 'the cat', { maxTokens: 12, temperature: 0.8, seed }),
      ),
    );
    expect(samples.map(({ text }: { text: string }) => text)).toEqual(alone.map(({ text }) => text));
    const table = await forge([...options, '--samples', '3']);
    expect(table.out).toMatch(/── seed 4, ended by .*\n[\s\S]*── seed 6, ended by/);
    expect(table.err).toMatch(/3 samples/);
  });

  it('ends before any of the stop strings, and narrows the choice of tokens', async () => {
    const greedy = ['generate', 'model', '-p', 'the cat', '-n', '12', '-t', '0', '-o', 'json'];
    const whole = JSON.parse((await forge(greedy)).out).text as string;
    const stop = whole.slice(4, 7);
    const cut = JSON.parse((await forge([...greedy, '--stop', 'never', '--stop', stop])).out);
    expect(cut).toMatchObject({ text: whole.slice(0, whole.indexOf(stop)), finish: 'stop' });
    const narrow = JSON.parse((await forge([...options, '--top-k', '1', '-o', 'json'])).out);
    expect(narrow.text).toBe(whole);
    expect(JSON.parse((await forge([...options, '--top-p', '0.001', '-o', 'json'])).out).text).toBe(whole);
  });

  it('stops at Ctrl-C with exit code 130', async () => {
    const io = fakeIo({ cwd });
    io.interrupt.abort(new InterruptedError('SIGINT'));
    expect(await runCommand(io, ['model', ...options], '1.2.3')).toBe(130);
  });

  it.each([
    [['--samples', '0'], /Expected a whole number from 1/],
    [['--top-p', '2'], /Expected a number from 0 to 1/],
    [['--top-p', '0'], /topP: is 0; must be above 0/],
    [['-p', 'cat '.repeat(80)], /prompt: has \d+ tokens; the context holds 64/],
  ])('%j is wrong usage, exit code 2', async (args, message) => {
    const { code, err } = await forge([...options, ...args]);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});

describe('forge model generate --think', () => {
  const options = ['generate', 'thinking', '-p', 'the cat', '-n', '6', '-t', '0'];
  let thinking: ThinkingModel;

  beforeAll(async () => {
    const head = new MixingHead(CONFIG.hiddenSize, new Philox(2));
    const marks = Float32Array.from({ length: 3 * CONFIG.hiddenSize }, (_, i) => Math.sin(i));
    thinking = new ThinkingModel(model.clone(), marks, head);
    await saveModel(join(cwd, 'thinking'), thinking.llama, tokenizer);
    for (const [name, bytes] of encodeThoughtFiles(thinking, { thought_length: 3, temperature: 0 }))
      await writeFile(join(cwd, 'thinking', name), bytes);
  });
  afterAll(() => thinking.dispose());

  it('prints the text that thinking gives, with thoughts where they are to be shown', async () => {
    const settings = { maxTokens: 6, temperature: 0, thoughtLength: 3 };
    let [text, shown] = ['the cat', 'the cat'];
    for await (const piece of generateThinking(thinking, tokenizer, 'the cat', settings)) {
      text += piece.text;
      shown += `${piece.thought ? `⟨${piece.thought.text}⟩` : ''}${piece.text}`;
    }
    expect(shown).toMatch(/⟨/);
    expect((await forge([...options, '--think'])).out).toBe(`${text}\n`);
    const { out } = await forge([...options, '--show-thoughts']);
    expect(out.split('⟨')).toHaveLength(shown.split('⟨').length);
    expect(out.replace(/⟨[^⟩]*⟩/g, '')).toBe(`${text}\n`);
  });

  it('gives thoughts as data, of several samples too, and none unless they are asked for', async () => {
    const both = [...options, '--samples', '2', '--thought-length', '2', '-o', 'json'];
    const { samples } = JSON.parse((await forge([...both, '--show-thoughts'])).out);
    expect(samples).toHaveLength(2);
    for (const { thoughts } of samples) {
      expect(thoughts).toHaveLength(6);
      expect(thoughts[0]).toMatchObject({ tokens: [expect.any(Number), expect.any(Number)] });
    }
    const stripped = JSON.parse((await forge([...both, '--think'])).out);
    expect(stripped.samples[0].thoughts).toBeUndefined();
    expect(stripped.samples[0].text).toBe(samples[0].text);
  });

  it('goes with the model when it is exported, and leaves the folder of one without', async () => {
    expect((await forge(['export', 'thinking', '--to', 'copy', '--type', 'f16'])).code).toBe(0);
    expect(await readdir(join(cwd, 'copy'))).toContain(THOUGHTS_FILE);
    expect((await forge(['generate', 'copy', '-p', 'the', '-n', '2', '--think'])).code).toBe(0);
    (await loadModel(join(cwd, 'copy'))).model.dispose();
    expect((await forge(['export', 'model', '--to', 'copy'])).code).toBe(0);
    expect(await readdir(join(cwd, 'copy'))).not.toContain(THOUGHTS_FILE);
    const gguf = ['export', 'thinking', '--to', 'm.gguf', '--format', 'gguf', '--type', 'f32'];
    expect((await forge(gguf)).err).toMatch(/does not think/);
    const asked = await forge(['generate', 'm.gguf', '-p', 'the', '--think']);
    expect([asked.code, asked.err]).toEqual([2, expect.stringMatching(/m\.gguf holds no thoughts/)]);
  });

  it.each([
    [['generate', 'model', '--think'], 1, /has not learnt to think: it has no thoughts\.safetensors/],
    [['generate', 'thinking', '--thought-length', '2'], 2, /need --think or --show-thoughts/],
    [['generate', 'thinking', '--show-thoughts', '--samples', '2'], 2, /needs -o json/],
  ])('%j is refused', async (args, exit, message) => {
    const { code, err } = await forge([...args, '-p', 'the']);
    expect(err).toMatch(message);
    expect(code).toBe(exit);
  });
});

describe('forge model eval', () => {
  const TASKS = [
    '{"type":"choice","id":"c","prompt":"the cat","choices":[" sat"," log log"],"answer":0}',
    '{"type":"generate","id":"g","prompt":"the","answer":"never this","max_tokens":4}',
  ].join('\n');

  it('measures text', async () => {
    const { code, out } = await forge([
      'eval',
      'model',
      '--corpus',
      'text.txt',
      '--stride',
      '16',
      '-o',
      'json',
    ]);
    expect(code).toBe(0);
    const value = JSON.parse(out);
    expect(value).toMatchObject({ split: 'all', lossNats: expect.any(Number) });
    // A new model knows nothing: about ln 300 nats a token.
    expect(Math.abs(value.lossNats - Math.log(300))).toBeLessThan(0.2);
    expect(value.tasks).toBeUndefined();
  });

  it('puts tasks, from a file or standard input, with text beside them', async () => {
    await writeFile(join(cwd, 'tasks.jsonl'), TASKS);
    const fromFile = await forge(['eval', 'model', '--task', 'tasks.jsonl', '--corpus', 'text.txt']);
    expect(fromFile.code).toBe(0);
    expect(fromFile.out).toMatch(
      /bits per byte[\s\S]*choice +(0|100) % ± 0 % \([01] of 1\), chance 50 %[\s\S]*generated +0 % ± 0 % \(0 of 1\)/,
    );
    const fromStdin = JSON.parse((await forge(['eval', 'model', '--task', '-', '-o', 'json'], TASKS)).out);
    expect(fromStdin.tasks.results.map(({ id }: { id: string }) => id)).toEqual(['c', 'g']);
    expect(fromStdin.lossNats).toBeUndefined();
  });

  it('shows every problem of a task file, with exit code 2', async () => {
    const { code, err } = await forge(['eval', 'model', '--task', '-'], '{"type":"choice"}\nnot json');
    expect(code).toBe(2);
    for (const text of ['line 1: prompt', 'line 1: choices', 'line 1: answer', 'line 2'])
      expect(err).toContain(text);
  });

  it.each([
    [['eval', 'model'], /give --corpus PATH, --task FILE, or both/],
    [['eval', 'model', '--task', 'none.jsonl'], /cannot read none\.jsonl: no such file/],
  ])('%j is wrong usage, exit code 2', async (args, message) => {
    const { code, err } = await forge(args);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});
