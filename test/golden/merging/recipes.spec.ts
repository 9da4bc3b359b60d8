import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseRecipe, prepareMerge, runMerge } from '@agentforge/merging';
import { directorySource, encodeSafetensors, openCheckpoint, openSafetensors } from '@agentforge/model';

interface GoldenRecipe {
  readonly yaml: string;
  readonly config: Readonly<Record<string, number>>;
  readonly vocabulary: Readonly<Record<string, number>>;
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
const { recipes } = JSON.parse(readFileSync(join(HERE, 'recipes.json'), 'utf8')) as {
  recipes: Readonly<Record<string, GoldenRecipe>>;
};

// The models of make_recipes_golden.py.
const [HIDDEN, FFN, LAYERS] = [16, 24, 3];
const PIECES = { a: [...'abcdefgh', 'ab', 'cd'], b: [...'abcdefgh', 'ef', 'ab', 'gh'] };
const SPECIAL = { a: ['<s>'], b: ['<s>', '<tool>'] };
const MERGES = { a: ['a b', 'c d'], b: ['e f', 'a b', 'g h'] };
const MODELS = { base: 'a', one: 'a', two: 'a', other: 'b' } as const;

function shapes(vocabulary: number): [string, number[]][] {
  const layers = Array.from({ length: LAYERS }, (_, layer): [string, number[]][] => {
    const p = `model.layers.${layer}.`;
    return [
      [`${p}input_layernorm.weight`, [HIDDEN]],
      [`${p}mlp.down_proj.weight`, [HIDDEN, FFN]],
      [`${p}mlp.gate_proj.weight`, [FFN, HIDDEN]],
      [`${p}mlp.up_proj.weight`, [FFN, HIDDEN]],
      [`${p}post_attention_layernorm.weight`, [HIDDEN]],
      ...[...'kqvo'].map((x): [string, number[]] => [`${p}self_attn.${x}_proj.weight`, [HIDDEN, HIDDEN]]),
    ];
  });
  return [
    ['model.embed_tokens.weight', [vocabulary, HIDDEN]],
    ...layers.flat(),
    ['model.norm.weight', [HIDDEN]],
    ['lm_head.weight', [vocabulary, HIDDEN]],
  ];
}

function values(model: number, number: number, size: number): Float32Array {
  return Float32Array.from({ length: size }, (_, index) => {
    const shared = (((index + 131 * number) * 40_503) % 65_536) - 32_768;
    const noise = (((index + 17 * number) * (30_011 + 7478 * model) + 1237 * model) % 65_536) - 32_768;
    return (3 * shared + (model > 0 ? noise : 0)) / 65_536;
  });
}

async function writeModel(folder: string, number: number, kind: 'a' | 'b'): Promise<void> {
  const tokens = [...PIECES[kind], ...SPECIAL[kind]];
  await mkdir(folder);
  const tensors = shapes(tokens.length).map(([name, shape], i) => {
    const data = values(number, i, shape.reduce((product, size) => product * size, 1));
    return [name, { shape, data }] as const;
  });
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: tokens.length,
    hidden_size: HIDDEN,
    intermediate_size: FFN,
    num_hidden_layers: LAYERS,
    tie_word_embeddings: false,
    torch_dtype: 'float32',
  };
  const vocab = Object.fromEntries(PIECES[kind].map((token, i) => [token, i]));
  const added = SPECIAL[kind].map((content) => ({ id: tokens.indexOf(content), content, special: true }));
  const tokenizer = { added_tokens: added, model: { type: 'BPE', vocab, merges: MERGES[kind] } };
  await writeFile(join(folder, 'model.safetensors'), encodeSafetensors(new Map(tensors)));
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
}

/** mergekit computes in f32, with sums in another order; bf16 results may fall on either side of a rounding. */
const toleranceOf = (name: string) => (name === 'half' ? 2 ** -7 : 4e-6);

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'merging-golden-'));
  for (const [number, [name, kind]] of Object.entries(MODELS).entries()) await writeModel(join(folder, name), number, kind);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('whole merges beside mergekit', () => {
  it.each(Object.entries(recipes))('%s', async (name, golden) => {
    const out = join(folder, 'out', name);
    await mkdir(join(folder, 'out'), { recursive: true });
    await runMerge(await prepareMerge(parseRecipe(golden.yaml), folder), golden.yaml, out);
    const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8')) as Record<string, unknown>;
    expect(config).toMatchObject(golden.config);
    expect(await readdir(out)).toEqual(expect.arrayContaining(['README.md', 'mergekit_config.yml', 'tokenizer.json']));

    const found = await openCheckpoint(directorySource(out));
    const expected = await openSafetensors(directorySource(HERE), 'recipes.safetensors');
    const names = expected.names.filter((key) => key.startsWith(`${name}/`));
    expect(found.names.toSorted()).toEqual(names.map((key) => key.slice(name.length + 1)).toSorted());
    const rowOf = await rowsByToken(out, golden.vocabulary);
    for (const key of names) {
      const tensor = key.slice(name.length + 1);
      expect(found.info(tensor).shape).toEqual(expected.info(key).shape);
      expect(found.info(tensor).dtype).toBe(expected.info(key).dtype);
      const [ours, theirs] = [await found.readF32(tensor), await expected.readF32(key)];
      const isRows = /embed_tokens|lm_head/.test(tensor);
      theirs.forEach((value, i) => {
        const at = isRows ? (rowOf.get(Math.floor(i / HIDDEN)) ?? Math.floor(i / HIDDEN)) * HIDDEN + (i % HIDDEN) : i;
        const difference = Math.abs((ours[at] as number) - value);
        if (!(difference <= toleranceOf(name))) throw new Error(`${key}[${i}]: ${ours[at]} for ${value}`);
      });
    }
  });
});

/** Our row of each row of mergekit, which numbers new tokens in an order of its own. */
async function rowsByToken(out: string, theirs: Readonly<Record<string, number>>): Promise<Map<number, number>> {
  const json = JSON.parse(await readFile(join(out, 'tokenizer.json'), 'utf8')) as {
    added_tokens: { id: number; content: string }[];
    model: { vocab: Record<string, number> };
  };
  const own = new Map([
    ...Object.entries(json.model.vocab),
    ...json.added_tokens.map(({ content, id }): [string, number] => [content, id]),
  ]);
  expect([...own.keys()].toSorted()).toEqual(Object.keys(theirs).toSorted());
  return new Map(Object.entries(theirs).map(([token, id]) => [id, own.get(token) as number]));
}
