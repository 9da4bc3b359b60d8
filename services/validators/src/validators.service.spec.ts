import { memorySource } from '@agentforge/model';
import type { Metrics } from '@agentforge/telemetry';
import { modelFiles } from '../test/models.js';
import { ArtifactReader, type ModelFiles } from './ports/artifact-reader.port.js';
import { ValidatorsUseCases } from './validators.service.js';

const INDEX = 'model.safetensors.index.json';
const INPUT = `sha256:${'a'.repeat(64)}`;
const OUTPUT = `sha256:${'b'.repeat(64)}`;

/** Models whose weights are spread over two files: the second one tells them apart. */
class ShardedModels extends ArtifactReader {
  constructor(private readonly secondShardOf: ReadonlyMap<string, string>) {
    super();
  }

  async model(digest: string): Promise<ModelFiles> {
    const files = modelFiles(1);
    files.delete('model.safetensors');
    const digests = new Map([
      [INDEX, 'index'],
      ['model-00001-of-00002.safetensors', 'first'],
      ['model-00002-of-00002.safetensors', this.secondShardOf.get(digest) ?? ''],
      ['tokenizer.json', 'tokenizer'],
    ]);
    return { source: memorySource(files), digests };
  }

  async verify(): Promise<readonly string[]> {
    return [];
  }

  async *open(): AsyncIterable<Uint8Array> {}

  async readText(): Promise<string> {
    return '';
  }
}

describe('ValidatorsUseCases', () => {
  const metrics = { counter: () => ({ inc: () => {} }) } as unknown as Metrics;
  const port = (digest: string) => ({ port: 'model', artifacts: [{ digest, name: 'm', type: 'model' }] });
  const phase = {
    name: 'quietstar',
    inputs: [],
    outputs: [{ name: 'model', artifactType: 'model', minCount: 1, maxCount: 1 }],
  };
  const metric = { name: 'parameters', value: 1, unit: '1', split: '', subject: '' };

  /** What the gate says of a step that claims to hand its input on. */
  async function honestOutcome(inputShard: string, outputShard: string) {
    const reader = new ShardedModels(
      new Map([
        [INPUT, inputShard],
        [OUTPUT, outputShard],
      ]),
    );
    const result = { outcome: 'no_gain', outputs: [port(OUTPUT)], metrics: [metric] };
    const judgements = await new ValidatorsUseCases(reader, metrics).judgeOutputs(
      phase,
      {},
      [port(INPUT)],
      result,
    );
    const judged = judgements.find(({ validator }) => validator === 'gate/quietstar/honest-outcome');
    return judged?.errors.map(({ field }) => field);
  }

  it('compares every file that weights are spread over', async () => {
    expect(await honestOutcome('same', 'same')).not.toContain('outputs.model[0]');
    expect(await honestOutcome('one', 'another')).toContain('outputs.model[0]');
  });
});
