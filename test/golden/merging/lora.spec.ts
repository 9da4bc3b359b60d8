import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseRecipe, prepareMerge, runMerge } from '@agentforge/merging';
import { directorySource, openCheckpoint, openSafetensors } from '@agentforge/model';

/** What make_lora_golden.py wrote with PEFT. */
const HERE = fileURLToPath(new URL('lora/', import.meta.url));

/** PEFT multiplies in f32, in another order. */
const TOLERANCE = 1e-6;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lora-golden-'));
  await cp(HERE, folder, { recursive: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function merge(recipe: string, out: string) {
  await runMerge(await prepareMerge(parseRecipe(recipe), folder), recipe, join(folder, out));
  return openCheckpoint(directorySource(join(folder, out)));
}

describe('model+adapter in recipes', () => {
  it.each(['plain', 'stabilised'])('%s: what PEFT folds, and nothing else', async (name) => {
    const found = await merge(`merge_method: passthrough\nmodels: [{model: model+${name}}]\n`, `${name}-out`);
    const base = await openCheckpoint(directorySource(join(folder, 'model')));
    const folded = await openSafetensors(directorySource(folder), 'folded.safetensors');
    let changed = 0;
    for (const tensor of base.names) {
      const ours = await found.readF32(tensor);
      if (!folded.has(`${name}/${tensor}`)) {
        expect(ours).toEqual(await base.readF32(tensor));
        continue;
      }
      changed++;
      (await folded.readF32(`${name}/${tensor}`)).forEach((value, i) => {
        const difference = Math.abs((ours[i] as number) - value);
        if (!(difference <= TOLERANCE)) throw new Error(`${tensor}[${i}]: ${ours[i]} for ${value}`);
      });
    }
    expect(changed).toBe(name === 'plain' ? 6 : 4);
  });

  it('merges two adapters of one model', async () => {
    const found = await merge(
      'merge_method: task_arithmetic\nbase_model: model\nmodels:\n' +
        '  - {model: model+plain, parameters: {weight: 0.5}}\n  - {model: model+stabilised, parameters: {weight: 2}}\n',
      'both',
    );
    const folded = await openSafetensors(directorySource(folder), 'folded.safetensors');
    const base = await openCheckpoint(directorySource(join(folder, 'model')));
    for (const [module, name, weight] of [
      ['self_attn.q_proj', 'plain', 0.5],
      ['mlp.gate_proj', 'stabilised', 2],
    ] as const) {
      const tensor = `model.layers.1.${module}.weight`;
      const [ours, own, other] = [
        await found.readF32(tensor),
        await base.readF32(tensor),
        await folded.readF32(`${name}/${tensor}`),
      ];
      ours.forEach((value, i) => {
        const from = own[i] as number;
        expect(value).toBeCloseTo(from + weight * ((other[i] as number) - from), 5);
      });
    }
  });

  it('says everything that keeps an adapter from being used', async () => {
    const problemOf = (model: string) =>
      prepareMerge(parseRecipe(`merge_method: passthrough\nmodels: [{model: ${model}}]\n`), folder).then(
        () => '',
        (error: Error) => error.message,
      );
    await cp(join(folder, 'plain'), join(folder, 'dora'), { recursive: true });
    const file = join(folder, 'dora', 'adapter_config.json');
    const config = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...config, use_dora: true, bias: 'all' }));
    expect(await problemOf('model+dora')).toMatch(/use_dora is not supported; bias is not "none"/);
    expect(await problemOf('model+nothing')).toMatch(/nothing is no folder/);
    expect(await problemOf('model+plain+plain')).toMatch(/no folder/);
    expect(await problemOf('model+model')).toMatch(/adapter_config\.json/);
  });
});
