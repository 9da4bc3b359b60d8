import {
  byteTokenizer,
  encodeModelFiles,
  LlamaModel,
  type ModelConfig,
  presetConfig,
  titansMag,
} from '@agentforge/model';
import type { InputArtifact, PhaseContext } from '@agentforge/phase-runtime/worker';
import { Philox } from '@agentforge/tensor';
import { type QuietstarConfig, quietstarConfig } from './domain/quietstar-config.js';
import { readInputs } from './thinking-inputs.js';

const LLAMA = presetConfig('pico', {
  ...{ vocabSize: 257, hiddenSize: 16, numLayers: 1, numHeads: 2, numKvHeads: 2, headDim: 8 },
  ...{ intermediateSize: 32, contextLength: 64 },
});
const RECURSIVE_TITANS: ModelConfig = {
  ...titansMag(LLAMA),
  recursion: { latentSteps: 1, cycles: 1, supervisionSteps: 2, haltThreshold: 0.5 },
};
const FIELDS = ['memory', 'slidingWindow', 'recursion'].map((field) => `inputs.model[0].config.${field}`);

function filesOf(config: ModelConfig): Map<string, Uint8Array> {
  const model = LlamaModel.init(config, new Philox(1));
  const files = encodeModelFiles(model, byteTokenizer());
  model.dispose();
  return files;
}

const blob = (name: string, text: string) =>
  ({
    name,
    ref: { digest: name, mediaType: 'text/plain' },
    bytes: async () => new TextEncoder().encode(text),
  }) as unknown as InputArtifact;

/** Fields that are refused; the corpus is too small for one row, which only encoding it tells. */
async function refused(
  files: ReadonlyMap<string, Uint8Array>,
  settings: object = {},
  tasks = '',
): Promise<string[]> {
  const model = {
    name: 'model',
    ref: { digest: 'm' },
    manifest: async () => ({ files: [...files.keys()].map((path) => ({ path })) }),
    file: async (path: string) => files.get(path),
  } as unknown as InputArtifact;
  const inputs: Record<string, InputArtifact[]> = {
    model: [model],
    corpus: [blob('corpus', 'Too short.\n')],
    tasks: tasks === '' ? [] : [blob('tasks', tasks)],
  };
  const context: Partial<PhaseContext<QuietstarConfig>> = {
    config: quietstarConfig.parse({ sequence_length: 16, thought_length: 4, ahead: 2, ...settings }),
    inputs: (port) => inputs[port] ?? [],
    progress: () => {},
    throwIfAborted: () => {},
  };
  try {
    await readInputs(context as PhaseContext<QuietstarConfig>);
  } catch (error) {
    const { reason, fieldViolations } = error as { reason: string; fieldViolations: { field: string }[] };
    return [reason, ...fieldViolations.map(({ field }) => field)];
  }
  return [];
}

describe('readInputs()', () => {
  it('names everything that rules a model out before it encodes the corpus', async () => {
    const tasks = JSON.stringify({ type: 'generate', prompt: 'x'.repeat(70), answer: 'y' });
    expect(await refused(filesOf(RECURSIVE_TITANS), { sequence_length: 60 }, tasks)).toEqual([
      'UNFIT_MODEL',
      ...FIELDS,
      'config.sequence_length',
      'inputs.tasks',
    ]);
  });

  it('names what is wrong with every file of the model, and with its kind, at once', async () => {
    const files = filesOf(RECURSIVE_TITANS);
    files.delete('model.safetensors');
    files.set('tokenizer.json', new TextEncoder().encode('['));
    expect(await refused(files)).toEqual([
      'UNFIT_MODEL',
      'inputs.model[0]/model.safetensors',
      'inputs.model[0]/tokenizer.json',
      ...FIELDS,
    ]);
  });

  it('refuses a tokenizer with more ids than the model has embeddings', async () => {
    const files = filesOf(LLAMA);
    const config = JSON.parse(new TextDecoder().decode(files.get('config.json')));
    files.set('config.json', new TextEncoder().encode(JSON.stringify({ ...config, vocab_size: 200 })));
    expect(await refused(files)).toEqual([
      'UNFIT_MODEL',
      'inputs.model[0]/model.safetensors/model.embed_tokens.weight',
      'inputs.model[0]/tokenizer.json',
    ]);
  });

  it('goes on to the corpus with a model that fits', async () => {
    expect((await refused(filesOf(LLAMA)))[0]).toBe('CORPUS_TOO_SMALL');
  });
});
