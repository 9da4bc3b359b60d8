import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeSafetensors } from '@agentforge/model';
import { Philox } from '@agentforge/tensor';

/** A model of a few hundred numbers, for tests. */
export interface TinyModel {
  readonly seed?: number;
  readonly layers?: number;
  readonly width?: number;
  /** One token per character, plus `special`. */
  readonly pieces?: string;
  readonly special?: readonly string[];
  /** Rows of the embedding beyond the tokens. */
  readonly padding?: number;
  readonly isTied?: boolean;
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Tensors of a tiny model. */
export function tinyTensors({
  seed = 1,
  layers = 2,
  width = 4,
  pieces = 'abcde',
  special = ['<s>'],
  padding = 0,
  isTied = false,
}: TinyModel) {
  const rows = pieces.length + special.length + padding;
  const shapes: [string, number[]][] = [['model.embed_tokens.weight', [rows, width]]];
  for (let layer = 0; layer < layers; layer++) {
    shapes.push([`model.layers.${layer}.self_attn.o_proj.weight`, [width, width]]);
    shapes.push([`model.layers.${layer}.input_layernorm.weight`, [width]]);
  }
  shapes.push(['model.norm.weight', [width]]);
  if (!isTied) shapes.push(['lm_head.weight', [rows, width]]);
  return new Map(
    shapes.map(([name, shape]) => {
      const rng = new Philox(seed).stream(name);
      const length = shape.reduce((product, size) => product * size, 1);
      return [name, { shape, data: Float32Array.from({ length }, () => rng.normal()) }];
    }),
  );
}

/** Writes a tiny model in Hugging Face's layout. */
export async function writeTinyModel(folder: string, model: TinyModel = {}): Promise<void> {
  const { layers = 2, pieces = 'abcde', special = ['<s>'], padding = 0, isTied = false } = model;
  const vocab = Object.fromEntries([...pieces].map((piece, id) => [piece, id]));
  const added = special.map((content, i) => ({ id: pieces.length + i, content, special: true }));
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    num_hidden_layers: layers,
    vocab_size: pieces.length + special.length + padding,
    tie_word_embeddings: isTied,
    torch_dtype: 'float32',
    ...model.config,
  };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'model.safetensors'), encodeSafetensors(tinyTensors(model)));
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(
    join(folder, 'tokenizer.json'),
    JSON.stringify({ added_tokens: added, model: { type: 'BPE', vocab, merges: [] } }),
  );
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify({ bos_token: special[0] }));
}
