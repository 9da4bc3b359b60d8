import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { Philox } from '@agentforge/tensor';
import {
  directorySource,
  exportGguf,
  GGUF_EXPORT_TYPES,
  LlamaModel,
  openGguf,
  presetConfig,
  trainBpe,
} from '../src/index.js';

const python = process.env['FORGE_TEST_PYTHON'];
const script = fileURLToPath(new URL('./read_gguf.py', import.meta.url));
const usable =
  python !== undefined && spawnSync(python, ['-c', 'import gguf'], { timeout: 120_000 }).status === 0;

if (!usable) {
  const reason = python === undefined ? 'is not set' : `(${python}) cannot import gguf`;
  console.warn(`SKIPPED: reading an exported GGUF file in gguf-py: FORGE_TEST_PYTHON ${reason}`);
}

interface Answer {
  readonly fields: Record<string, unknown>;
  readonly tensors: Record<string, { type: string; shape: number[]; crc: number }>;
}

(usable ? describe : describe.skip)('exportGguf() and gguf-py', () => {
  const config = presetConfig('pico', { vocabSize: 300, numLayers: 1, tieWordEmbeddings: false });
  const tokenizer = trainBpe(['naïve to be or not to be'.repeat(3)], { vocabSize: 280 });

  it.each(GGUF_EXPORT_TYPES)(
    'gives a %s file with the same metadata, tensors and values there',
    async (type) => {
      const folder = await mkdtemp(join(tmpdir(), 'gguf-py-'));
      const model = LlamaModel.init(config, new Philox(1));
      try {
        const path = join(folder, 'model.gguf');
        await exportGguf(path, model, tokenizer, { type, name: 'née' });
        const { stdout, stderr, status } = spawnSync(python ?? '', [script, path], {
          encoding: 'utf8',
          maxBuffer: 2 ** 28,
        });
        if (status !== 0) throw new Error(stderr);
        const answer = JSON.parse(stdout) as Answer;
        const reader = await openGguf(directorySource(folder), 'model.gguf');
        expect(Object.keys(answer.tensors)).toEqual(reader.names);
        for (const name of reader.names) {
          const { type: tensorType, shape } = reader.info(name);
          const crc = crc32(new Uint8Array((await reader.readF32(name)).buffer));
          expect({ name, ...answer.tensors[name] }).toEqual({ name, type: tensorType, shape, crc });
        }
        expect(answer.fields).toMatchObject({
          'general.architecture': 'llama',
          'general.name': 'née',
          'general.quantization_version': 2,
          'llama.attention.head_count_kv': 2,
          'llama.rope.dimension_count': 64,
          'tokenizer.ggml.model': 'gpt2',
          'tokenizer.ggml.eos_token_id': 0,
        });
        expect(answer.fields['tokenizer.ggml.tokens']).toEqual(
          reader.metadata.get('tokenizer.ggml.tokens')?.value,
        );
        expect((answer.fields['tokenizer.ggml.tokens'] as string[]).slice(0, tokenizer.vocabSize)).toEqual(
          tokenizer.vocabulary.tokens,
        );
      } finally {
        model.dispose();
        await rm(folder, { recursive: true });
      }
    },
    120_000,
  );
});
