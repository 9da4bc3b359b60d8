import { memorySource } from '@agentforge/model';
import { modelFiles, TINY } from '../../test/models.js';
import { identityOf, inspectModel } from './inspect-model.js';

const inspect = (files: ReadonlyMap<string, Uint8Array>) =>
  inspectModel(memorySource(files), new Map([...files.keys()].map((path) => [path, `digest of ${path}`])));

describe('inspectModel()', () => {
  it('finds nothing wrong with an intact model and counts its parameters', async () => {
    const found = await inspect(modelFiles(1));
    expect(found).toMatchObject({ problems: [], nonFinite: 0, weightsDigest: 'digest of model.safetensors' });
    expect(found.parameters).toBe(257 * 16 + 16 * 16 * 2 + 8 * 16 * 2 + 16 * 32 * 3 + 16 * 3);
  });

  it('counts values that are not finite and names their tensor', async () => {
    const files = modelFiles(1, TINY, (weights) => {
      const norm = weights.get('model.norm.weight');
      if (norm) [norm[0], norm[5]] = [Number.NaN, Number.POSITIVE_INFINITY];
    });
    const found = await inspect(files);
    expect(found.nonFinite).toBe(2);
    expect(found.problems).toEqual([
      { field: 'model.safetensors/model.norm.weight', description: 'has 2 of 16 values that are not finite' },
    ]);
  });

  it.each([
    [
      'a truncated weights file',
      'model.safetensors',
      (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 8),
    ],
    ['weights of nothing', 'model.safetensors', () => new Uint8Array(0)],
    [
      'a header that is too large',
      'model.safetensors',
      (bytes: Uint8Array) => new Uint8Array(bytes).fill(255, 0, 8),
    ],
    ['a configuration that is not JSON', 'config.json', () => new TextEncoder().encode('{')],
    ['a tokenizer that is not JSON', 'tokenizer.json', () => new TextEncoder().encode('[')],
  ])('reports %s', async (_, path, damage) => {
    const files = modelFiles(1);
    files.set(path, damage(files.get(path) ?? new Uint8Array(0)));
    const { problems } = await inspect(files);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems[0]?.field).toContain(path);
  });

  it('reports files that are missing', async () => {
    for (const path of ['config.json', 'model.safetensors', 'tokenizer.json']) {
      const files = modelFiles(1);
      files.delete(path);
      expect((await inspect(files)).problems.length).toBeGreaterThan(0);
    }
  });

  it('reports shapes that do not fit the configuration', async () => {
    const files = modelFiles(1);
    const other = modelFiles(1, { ...TINY, intermediateSize: 64 });
    files.set('config.json', other.get('config.json') ?? new Uint8Array(0));
    const { problems } = await inspect(files);
    expect(problems.map(({ field }) => field)).toContain(
      'model.safetensors/model.layers.0.mlp.gate_proj.weight',
    );
  });
});

describe('identityOf()', () => {
  const sharded = (second: string) =>
    new Map([
      ['model.safetensors.index.json', 'i'],
      ['model-00001-of-00002.safetensors', 'a'],
      ['model-00002-of-00002.safetensors', second],
      ['tokenizer.json', 't'],
    ]);

  it('is the digest of the one weights file, whatever lies beside it', () => {
    const files = new Map([
      ['model.safetensors', 'w'],
      ['thoughts.safetensors', 'x'],
    ]);
    expect(identityOf(files)).toEqual({ weightsDigest: 'w', tokenizerDigest: '' });
  });

  it('takes in every file that weights are spread over, in whatever order', () => {
    const { weightsDigest, tokenizerDigest } = identityOf(sharded('b'));
    expect(weightsDigest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(tokenizerDigest).toBe('t');
    expect(identityOf(new Map([...sharded('b')].reverse())).weightsDigest).toBe(weightsDigest);
    expect(identityOf(sharded('c')).weightsDigest).not.toBe(weightsDigest);
  });

  it('is empty without weights', () => {
    expect(identityOf(new Map([['config.json', 'c']])).weightsDigest).toBe('');
  });
});
