import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderArtifactStore, MEDIA_TYPES } from '@agentforge/artifacts';
import {
  type ArtifactRef,
  PhaseDescriptorSchema,
  ValidationService,
  type Verdict,
} from '@agentforge/contracts';
import { type Client, createClient, createService, type RunningService } from '@agentforge/service-kit';
import { create } from '@bufbuild/protobuf';
import { AppModule } from '../src/app.module.js';
import { settings } from '../src/config.js';
import { modelFiles, TINY } from './models.js';

const port = (name: string, artifactType: string, minCount: number, maxCount: number) => ({
  name,
  artifactType,
  minCount,
  maxCount,
});
const EVOMERGE = create(PhaseDescriptorSchema, {
  name: 'evomerge',
  inputs: [port('models', 'model', 2, 16), port('corpus', 'corpus', 1, 1)],
  outputs: [port('model', 'model', 1, 1), port('report', 'report', 1, 1)],
});
const byName = (verdicts: readonly Verdict[]) =>
  new Map(verdicts.map((verdict) => [verdict.validator, verdict]));
const failing = (verdicts: readonly Verdict[]) =>
  verdicts.filter(({ valid }) => !valid).map(({ validator }) => validator);

describe('validators', () => {
  let directory: string;
  let store: FolderArtifactStore;
  let service: RunningService;
  let client: Client<typeof ValidationService>;
  let parents: ArtifactRef[];
  let corpus: ArtifactRef;

  const putModel = async (name: string, files: ReadonlyMap<string, Uint8Array>): Promise<ArtifactRef> => {
    const listed = [];
    for (const [path, bytes] of files) {
      const { digest, sizeBytes } = await store.put(bytes);
      listed.push({ path, digest, sizeBytes });
    }
    return store.putManifest({ files: listed }, { name, type: 'model', mediaType: MEDIA_TYPES.model });
  };
  const put = (text: string, type: string) => store.put(new TextEncoder().encode(text), { type, name: type });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'validators-'));
    store = await FolderArtifactStore.open({ directory });
    service = await createService(AppModule, {
      name: 'validators',
      settings,
      env: {
        FORGE_GRPC_PORT: '0',
        FORGE_HTTP_PORT: '0',
        FORGE_LOG_LEVEL: 'silent',
        FORGE_ARTIFACT_DIR: directory,
      },
    });
    client = createClient(ValidationService, service.grpcAddress);
    parents = [await putModel('a', modelFiles(1)), await putModel('b', modelFiles(2))];
    corpus = await put('To be, or not to be', 'corpus');
  }, 60_000);
  afterAll(async () => {
    client.close();
    await service.drain('test');
    await rm(directory, { recursive: true, force: true });
  });

  const inputs = (models: ArtifactRef[], text: ArtifactRef) => [
    { port: 'models', artifacts: models },
    { port: 'corpus', artifacts: [text] },
  ];
  const judgeInputs = async (models: ArtifactRef[], text = corpus) =>
    (await client.validateInputs({ phase: EVOMERGE, inputs: inputs(models, text) })).verdicts;

  describe('ValidateInputs', () => {
    it('accepts intact models of one family and a text', async () => {
      const verdicts = await judgeInputs(parents);
      expect(failing(verdicts)).toEqual([]);
      expect(verdicts.map(({ validator }) => validator)).toEqual([
        'input-ports',
        'input-artifacts',
        'model-integrity',
        'model-compatibility',
      ]);
    });

    it('refuses artifacts that are missing, and names them', async () => {
      const ghost = { ...(parents[0] as ArtifactRef), digest: `sha256:${'0'.repeat(64)}` };
      const verdict = byName(await judgeInputs([...parents, ghost])).get('input-artifacts');
      expect(verdict?.errors[0]?.field).toBe('inputs.models[2]');
      expect(verdict?.blocking).toBe(true);
    });

    it('refuses an empty and a binary corpus', async () => {
      expect(failing(await judgeInputs(parents, await put('', 'corpus')))).toEqual(['input-artifacts']);
      expect(failing(await judgeInputs(parents, await put('a\0b', 'corpus')))).toEqual(['input-artifacts']);
    });

    it('refuses models of different architectures', async () => {
      const wide = await putModel('wide', modelFiles(3, { ...TINY, intermediateSize: 64 }));
      expect(failing(await judgeInputs([...parents, wide]))).toEqual(['model-compatibility']);
    });

    it('refuses weights that are not finite, and bytes that were changed on disk', async () => {
      const bad = await putModel(
        'nan',
        modelFiles(4, TINY, (weights) => weights.get('model.norm.weight')?.fill(Number.NaN)),
      );
      expect(failing(await judgeInputs([...parents, bad]))).toEqual(['model-integrity']);
      const damaged = await putModel('damaged', modelFiles(5));
      const { files } = await store.getManifest(damaged.digest);
      const hex = files.find(({ path }) => path === 'model.safetensors')?.digest.slice(7) ?? '';
      const path = join(directory, 'sha256', hex.slice(0, 2), hex.slice(2));
      const bytes = await readFile(path);
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      await rm(path, { force: true });
      await writeFile(path, bytes);
      expect(failing(await judgeInputs([...parents, damaged])).length).toBeGreaterThan(0);
    });

    it('refuses counts, types and ports before it reads anything', async () => {
      const verdicts = await judgeInputs([corpus]);
      expect(verdicts.map(({ validator }) => validator)).toEqual(['input-ports']);
      expect(verdicts[0]?.errors.map(({ field }) => field)).toEqual([
        'inputs.models',
        'inputs.models[0].type',
      ]);
    });

    it('needs to know the phase', async () => {
      await expect(client.validateInputs({})).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(client.validateOutputs({ phase: EVOMERGE })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    });
  });

  describe('ValidateOutputs', () => {
    const losses = (best: number) =>
      [
        ['best', best],
        ['a', 3],
        ['b', 3.5],
        ['uniform-average', 4],
      ].map(([subject, value]) => ({
        name: 'loss',
        split: 'report',
        subject: String(subject),
        value: Number(value),
      }));
    const judgeOutputs = async (model: ArtifactRef, outcome: string, best: number, report?: ArtifactRef) => {
      const text = JSON.stringify({ phase: 'evomerge', outcome, metrics: [], curves: [] });
      const result = {
        outcome,
        outputs: [
          { port: 'model', artifacts: [model] },
          { port: 'report', artifacts: [report ?? (await put(text, 'report'))] },
        ],
        metrics: [...losses(best), { name: 'parameters', subject: 'best', value: await parametersOf() }],
      };
      return (await client.validateOutputs({ phase: EVOMERGE, inputs: inputs(parents, corpus), result }))
        .verdicts;
    };
    const parametersOf = async () => 257 * 16 + 16 * 16 * 2 + 8 * 16 * 2 + 16 * 32 * 3 + 16 * 3;

    it('accepts an honest gain, with values beside thresholds', async () => {
      const verdicts = await judgeOutputs(await putModel('best', modelFiles(6)), 'improved', 2);
      expect(failing(verdicts)).toEqual([]);
      expect(
        byName(verdicts)
          .get('gate/evomerge/beats-parents')
          ?.details.map(({ value }) => value),
      ).toEqual([1, 1.5]);
    });

    it('refuses a parent that is passed off as a gain', async () => {
      const verdicts = await judgeOutputs(parents[0] as ArtifactRef, 'improved', 2);
      expect(failing(verdicts)).toEqual(['theatre']);
    });

    it('accepts no_gain that hands the best parent on', async () => {
      expect(failing(await judgeOutputs(parents[0] as ArtifactRef, 'no_gain', 3.2))).toEqual([]);
    });

    it('refuses a report that is not one', async () => {
      const best = await putModel('best', modelFiles(6));
      expect(failing(await judgeOutputs(best, 'improved', 2, await put('not json', 'report')))).toEqual([
        'output-artifacts',
      ]);
    });

    it('only advises on the gates of a fallback', async () => {
      const verdicts = await judgeOutputs(await putModel('mean', modelFiles(7)), 'fallback', 9);
      for (const verdict of verdicts)
        if (verdict.validator.startsWith('gate/')) expect(verdict.blocking).toBe(false);
    });
  });

  it('lists gates with thresholds, all or of one phase', async () => {
    const { gates } = await client.listGates({ phase: 'cognate' });
    expect(gates.find(({ name }) => name === 'gate/cognate/loss-margin')?.threshold?.threshold).toBe(0.05);
    expect((await client.listGates({})).gates.length).toBeGreaterThan(gates.length);
    await expect(client.listGates({ phase: 'none' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
