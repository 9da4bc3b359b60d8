import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directorySource, openCheckpoint, planSafetensors } from '@agentforge/model';
import { InvalidRecipeError, OutputExistsError } from '../merging.errors.js';
import { mergeTensors } from '../operators/merge-tensors.js';
import type { MergeMethod } from '../operators/method.js';
import { MERGE_METHODS } from '../operators/methods.js';
import { PIECE_ELEMENTS, sizeBytesOf, workingBytesOf } from '../plan/plan.js';
import { prepareMerge } from '../plan/prepare-merge.js';
import { parseRecipe } from '../recipe/parse-recipe.js';
import { tinyTensors, writeTinyModel } from '../testing/tiny-models.js';
import { runMerge } from './run-merge.js';
import type { MergeHooks } from './write-weights.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'merging-'));
  await writeTinyModel(join(folder, 'a'), { seed: 1 });
  await writeTinyModel(join(folder, 'b'), { seed: 2 });
  await writeTinyModel(join(folder, 'c'), { seed: 3 });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function merge(recipe: string, out = 'out', hooks: MergeHooks = {}) {
  const plans = await prepareMerge(parseRecipe(recipe), folder);
  await runMerge(plans, recipe, join(folder, out), hooks);
  return openCheckpoint(directorySource(join(folder, out)));
}

async function problemsOf(recipe: string): Promise<string> {
  try {
    await prepareMerge(parseRecipe(recipe), folder);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidRecipeError);
    return (error as InvalidRecipeError).problems
      .map(({ path, message }) => `${path}: ${message}`)
      .join('\n');
  }
  return '';
}

const digestOf = async (out: string) =>
  createHash('sha256')
    .update(await readFile(join(folder, out, 'model.safetensors')))
    .digest('hex');
const models = (...names: string[]) =>
  names.map((name) => `  - {model: ${name}, parameters: {weight: 1, density: 0.5}}\n`).join('');

describe('runMerge()', () => {
  it('writes a model folder with tokenizer, card and recipe', async () => {
    const recipe = `merge_method: linear\nmodels:\n${models('a', 'b')}`;
    const seen: number[] = [];
    await merge(recipe, 'out', { onProgress: ({ done }) => seen.push(done) });
    expect((await readdir(join(folder, 'out'))).sort()).toEqual(
      [
        'README.md',
        'config.json',
        'mergekit_config.yml',
        'model.safetensors',
        'tokenizer.json',
        'tokenizer_config.json',
      ].sort(),
    );
    expect(await readFile(join(folder, 'out', 'README.md'), 'utf8')).toContain(recipe.trim());
    expect(await readFile(join(folder, 'out', 'mergekit_config.yml'), 'utf8')).toBe(recipe);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(await readdir(folder)).toEqual(['a', 'b', 'c', 'out']);
  });

  it('makes the same bytes for the same seed, and others for another', async () => {
    const recipe = (seed: number) =>
      `merge_method: dare_ties\nbase_model: a\nmodels:\n${models('b', 'c')}parameters: {seed: ${seed}}\n`;
    for (const [i, seed] of [5, 5, 6].entries()) await merge(recipe(seed), `out${i}`);
    expect(await digestOf('out0')).toBe(await digestOf('out1'));
    expect(await digestOf('out0')).not.toBe(await digestOf('out2'));
  });

  it('makes merges of merges, and leaves nothing of the steps', async () => {
    const steps =
      `name: half\nmerge_method: linear\nmodels:\n${models('a', 'b')}---\n` +
      `merge_method: linear\nmodels:\n  - {model: half, parameters: {weight: 2}}\n  - {model: c, parameters: {weight: 1}}\n`;
    const staged = await merge(steps);
    const direct = await merge(`merge_method: linear\nmodels:\n${models('a', 'b', 'c')}`, 'direct');
    const name = 'model.layers.1.self_attn.o_proj.weight';
    const expected = await direct.readF32(name);
    (await staged.readF32(name)).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i] as number, 6);
    });
    expect(await readdir(join(folder, 'out'))).not.toContain('.stages');
  });

  it('stacks layers with their kinds', async () => {
    await writeTinyModel(join(folder, 'kinds'), { config: { layer_types: ['full', 'sliding'] } });
    const found = await merge(
      'merge_method: passthrough\nslices:\n  - sources: [{model: kinds, layer_range: [1, 2]}]\n  - sources: [{model: kinds, layer_range: [0, 2]}]\n',
    );
    const config = JSON.parse(await readFile(join(folder, 'out', 'config.json'), 'utf8'));
    expect(config).toMatchObject({ num_hidden_layers: 3, layer_types: ['sliding', 'full', 'sliding'] });
    const own = tinyTensors({});
    expect(await found.readF32('model.layers.0.input_layernorm.weight')).toEqual(
      own.get('model.layers.1.input_layernorm.weight')?.data,
    );
  });

  it('gives the result a head of its own when one model has one', async () => {
    await writeTinyModel(join(folder, 'tied'), { seed: 4, isTied: true });
    const found = await merge(`merge_method: linear\nbase_model: tied\nmodels:\n${models('tied', 'a')}`);
    const config = JSON.parse(await readFile(join(folder, 'out', 'config.json'), 'utf8'));
    expect(config.tie_word_embeddings).toBe(false);
    const [tied, a] = [tinyTensors({ seed: 4, isTied: true }), tinyTensors({ seed: 1 })];
    const [x, y] = [tied.get('model.embed_tokens.weight')?.data, a.get('lm_head.weight')?.data];
    expect((await found.readF32('lm_head.weight'))[0]).toBeCloseTo(((x?.[0] ?? 0) + (y?.[0] ?? 0)) / 2, 6);
  });

  it('keeps a tied head tied, and cuts rows that are padding', async () => {
    await writeTinyModel(join(folder, 'x'), { isTied: true, padding: 2 });
    await writeTinyModel(join(folder, 'y'), { isTied: true, seed: 2 });
    const found = await merge(`merge_method: linear\nmodels:\n${models('x', 'y')}`);
    expect(found.has('lm_head.weight')).toBe(false);
    expect(found.info('model.embed_tokens.weight').shape).toEqual([6, 4]);
    expect(JSON.parse(await readFile(join(folder, 'out', 'config.json'), 'utf8')).vocab_size).toBe(6);
  });

  it('unites vocabularies: rows of tokens that a model lacks come from the one that has them', async () => {
    await writeTinyModel(join(folder, 'other'), { seed: 5, pieces: 'xa', special: ['<s>', '<t>'] });
    const recipe =
      `merge_method: linear\nbase_model: a\nmodels:\n${models('a', 'other')}tokenizer:\n  source: union\n` +
      '  tokens: {b: {source: {kind: zero}, force: true}}\n  pad_to_multiple_of: 5\n';
    const found = await merge(recipe);
    const rows = await found.readF32('model.embed_tokens.weight');
    const other = tinyTensors({ seed: 5, pieces: 'xa', special: ['<s>', '<t>'] }).get(
      'model.embed_tokens.weight',
    )?.data;
    const own = tinyTensors({}).get('model.embed_tokens.weight')?.data;
    // a b c d e <s> x <t>, padded to ten.
    expect(found.info('model.embed_tokens.weight').shape).toEqual([10, 4]);
    expect(rows[6 * 4]).toBe(other?.[0]);
    expect(rows[2 * 4]).toBe(own?.[2 * 4]);
    expect([...rows.subarray(4, 8)]).toEqual([0, 0, 0, 0]);
    expect(rows[0]).toBeCloseTo(((own?.[0] ?? 0) + (other?.[4] ?? 0)) / 2, 6);
    const mean = Array.from({ length: 8 }, (_, row) => rows[row * 4] as number).reduce((x, y) => x + y) / 8;
    expect(rows[9 * 4]).toBeCloseTo(mean, 6);
    const tokenizer = JSON.parse(await readFile(join(folder, 'out', 'tokenizer.json'), 'utf8'));
    expect(tokenizer.model.vocab).toMatchObject({ a: 0, x: 6 });
    expect(tokenizer.added_tokens.map(({ id }: { id: number }) => id)).toEqual([5, 7]);
  });

  it('takes the chat template that most models have', async () => {
    await writeFile(join(folder, 'a', 'chat_template.jinja'), 'A {{ messages }}');
    await writeFile(
      join(folder, 'b', 'tokenizer_config.json'),
      JSON.stringify({ chat_template: 'B {{ messages }}' }),
    );
    await writeFile(join(folder, 'c', 'chat_template.jinja'), 'B {{ messages }}');
    await merge(`merge_method: linear\nmodels:\n${models('a', 'b', 'c')}chat_template: auto\n`);
    expect(await readFile(join(folder, 'out', 'chat_template.jinja'), 'utf8')).toBe('B {{ messages }}');
  });

  it('leaves nothing behind when it is cancelled or fails, and says why', async () => {
    const recipe = `merge_method: linear\nmodels:\n${models('a', 'b')}`;
    const cancelled = new AbortController();
    const stop = { signal: cancelled.signal, onProgress: () => cancelled.abort(new Error('enough')) };
    await expect(merge(recipe, 'out', stop)).rejects.toThrow('enough');
    const plans = await prepareMerge(parseRecipe(recipe), folder);
    await rm(join(folder, 'b', 'model.safetensors'));
    await expect(runMerge(plans, recipe, join(folder, 'out'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await readdir(folder)).toEqual(['a', 'b', 'c']);
  });

  it('spreads weights over files of a size, with an index, and reads such models', async () => {
    const recipe = `merge_method: linear\nmodels:\n${models('a', 'b')}dtype: float16\n`;
    const plans = await prepareMerge(parseRecipe(recipe), folder);
    await runMerge(plans, recipe, join(folder, 'shards'), { maxShardBytes: 60 });
    const files = (await readdir(join(folder, 'shards'))).filter((name) => name.startsWith('model'));
    expect(files.at(-1)).toBe('model.safetensors.index.json');
    expect(files.slice(0, -1)).toEqual(
      files.slice(0, -1).map((_, i) => `model-0000${i + 1}-of-0000${files.length - 1}.safetensors`),
    );
    expect(files.length).toBeGreaterThan(3);
    const index = JSON.parse(await readFile(join(folder, 'shards', 'model.safetensors.index.json'), 'utf8'));
    expect(index.metadata.total_size).toBe(plans[0] && sizeBytesOf(plans[0]));
    const [whole, parts] = [
      await merge(recipe),
      await openCheckpoint(directorySource(join(folder, 'shards'))),
    ];
    expect([...parts.names].sort()).toEqual([...whole.names].sort());
    for (const name of whole.names) expect(await parts.readBytes(name)).toEqual(await whole.readBytes(name));
    const again = await merge(
      'merge_method: passthrough\nmodels: [{model: shards}]\ndtype: float32\n',
      'again',
    );
    for (const name of whole.names) expect(await again.readF32(name)).toEqual(await whole.readF32(name));
  });

  it('merges in pieces what the whole gives, to the bit', async () => {
    const wide = { width: 1024, layers: 1, isTied: true };
    for (const [i, name] of ['x', 'y', 'z'].entries())
      await writeTinyModel(join(folder, name), { ...wide, seed: i });
    const name = 'model.layers.0.self_attn.o_proj.weight';
    const [x, y, z] = [0, 1, 2].map((seed) => tinyTensors({ ...wide, seed }).get(name)?.data as Float32Array);
    const method = MERGE_METHODS.get('task_arithmetic') as MergeMethod;
    const found = await merge(`merge_method: task_arithmetic\nbase_model: x\nmodels:\n${models('y', 'z')}`);
    const whole = mergeTensors(method, {
      shape: [1024, 1024],
      base: x,
      models: [y, z].map((values) => ({ values: values as Float32Array, settings: { weight: 1 } })),
    });
    expect(whole.length).toBeGreaterThan(PIECE_ELEMENTS);
    expect(Buffer.from((await found.readF32(name)).buffer).equals(Buffer.from(whole.buffer))).toBe(true);
  });

  it('reads every type of weights, in one merge', async () => {
    for (const [out, dtype] of [
      ['half', 'float16'],
      ['brain', 'bfloat16'],
    ] as const)
      await merge(`merge_method: passthrough\nmodels: [{model: a}]\ndtype: ${dtype}\n`, out);
    await cp(join(folder, 'a'), join(folder, 'double'), { recursive: true });
    const own = tinyTensors({ seed: 1 });
    const { head, ranges, sizeBytes } = planSafetensors(
      new Map([...own].map(([name, { shape }]) => [name, { dtype: 'F64' as const, shape }])),
    );
    const file = new Uint8Array(sizeBytes);
    file.set(head);
    for (const [name, { data }] of own)
      file.set(new Uint8Array(Float64Array.from(data).buffer), ranges.get(name)?.begin ?? 0);
    await writeFile(join(folder, 'double', 'model.safetensors'), file);
    const found = await merge(
      `merge_method: linear\nmodels:\n${models('a', 'half', 'brain', 'double')}dtype: float32\n`,
      'mixed',
    );
    const name = 'model.layers.0.self_attn.o_proj.weight';
    const merged = await found.readF32(name);
    const read = async (model: string) =>
      (await openCheckpoint(directorySource(join(folder, model)))).readF32(name);
    const [half, brain] = [await read('half'), await read('brain')];
    own.get(name)?.data.forEach((value, i) => {
      expect(half[i]).toBeCloseTo(value, 2);
      expect(brain[i]).toBeCloseTo(value, 1);
      expect(merged[i]).toBeCloseTo((2 * value + (half[i] as number) + (brain[i] as number)) / 4, 6);
    });
  });

  it('never writes into a folder that something is in', async () => {
    await mkdir(join(folder, 'empty'));
    const recipe = `merge_method: linear\nmodels:\n${models('a', 'b')}`;
    await merge(recipe, 'empty');
    await expect(merge(recipe, 'empty')).rejects.toBeInstanceOf(OutputExistsError);
    await expect(merge(recipe, 'a/config.json')).rejects.toBeInstanceOf(OutputExistsError);
  });

  it('says beforehand how large the result is and what the largest tensor needs', async () => {
    const [plan] = await prepareMerge(
      parseRecipe(`merge_method: linear\nmodels:\n${models('a', 'b')}dtype: bfloat16\n`),
      folder,
    );
    expect(plan && sizeBytesOf(plan)).toBe(2 * (2 * 24 + 2 * 20 + 4));
    expect(plan && workingBytesOf(plan)).toBe(4 * 24 * 3);
  });
});

describe('prepareMerge() refuses', () => {
  it('models that are not there, all at once, and says that nothing is downloaded', async () => {
    await mkdir(join(folder, 'torch'));
    await writeFile(join(folder, 'torch', 'config.json'), '{}');
    await writeFile(join(folder, 'torch', 'pytorch_model.bin'), '');
    const found = await problemsOf(
      `merge_method: ties\nbase_model: org/Model-7B\nmodels:\n${models('a', './nothing', 'torch')}`,
    );
    expect(found).toContain('base_model: org/Model-7B is no folder');
    expect(found).toContain('hf download org/Model-7B --local-dir FOLDER');
    expect(found).toMatch(/models\[1\]\.model: .*nothing is no folder/);
    expect(found).toMatch(/models\[2\]\.model: .*save them as safetensors/);
  });

  it('models that differ in architecture, layers or shape', async () => {
    await writeTinyModel(join(folder, 'kind'), { config: { model_type: 'mistral' } });
    await writeTinyModel(join(folder, 'deep'), { layers: 3 });
    await writeTinyModel(join(folder, 'wide'), { width: 6 });
    const found = await problemsOf(`merge_method: linear\nmodels:\n${models('a', 'kind', 'deep')}`);
    expect(found).toContain('models[1].model: is a mistral, a a llama');
    expect(found).toContain('models[2]: has 3 layers, a 2: use slices');
    expect(await problemsOf(`merge_method: linear\nmodels:\n${models('a', 'wide')}`)).toMatch(
      /model.embed_tokens.weight is \[6,6\] in wide, \[6,4\] elsewhere[\s\S]*and 2 more tensors/,
    );
  });

  it('layers that a model does not have', async () => {
    const text = 'merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [1, 9]}]}]\n';
    expect(await problemsOf(text)).toBe('slices[0].sources[0].layer_range: ends at 9; a has 2 layers');
  });

  it('vocabularies that differ, with the way out', async () => {
    await writeTinyModel(join(folder, 'other'), { pieces: 'badce' });
    const found = await problemsOf(`merge_method: linear\nmodels:\n${models('a', 'other')}`);
    expect(found).toMatch(
      /models\[1\]: its vocabulary is not that of a: 4 tokens have other ids, 0 are missing.*source: union/,
    );
  });

  it('parameters that are missing for some tensor, once', async () => {
    const text =
      'merge_method: linear\nmodels:\n  - {model: a, parameters: {weight: [{filter: norm, value: 1}]}}\n  - {model: b, parameters: {weight: 1}}\n';
    expect(await problemsOf(text)).toBe(
      'models[0].parameters.weight: is missing: linear needs it (asked for model.embed_tokens.weight)',
    );
  });

  it('probabilities that leave (0, 1)', async () => {
    const text =
      'merge_method: della\nbase_model: a\nmodels: [{model: b, parameters: {weight: 1, density: 0.9, epsilon: 0.2}}]\n';
    expect(await problemsOf(text)).toContain('density 0.9 ± epsilon 0.2 leaves (0, 1)');
  });

  it('tokens that nobody has', async () => {
    const text = `merge_method: linear\nbase_model: a\nmodels:\n${models('a', 'b')}tokenizer: {source: base, tokens: {z: {source: b}}}\n`;
    expect(await problemsOf(text)).toContain('tokenizer.tokens.z: b has no token z');
  });
});
