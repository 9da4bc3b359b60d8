/**
 * Writes four checkpoints for sections/merging-files.mjs, one of them the start of the others: Llama layout, bf16.
 *
 *   node merging-checkpoints.mjs FOLDER
 */
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { planSafetensors } from '@agentforge/model';

/** 103 M parameters. */
const [WIDTH, INNER, LAYERS, TOKENS, HEADS] = [1024, 2816, 6, 12_800, 16];

const folder = process.argv[2];
const tensors = new Map();
const add = (name, shape) => tensors.set(name, { dtype: 'BF16', shape });
add('model.embed_tokens.weight', [TOKENS, WIDTH]);
for (let layer = 0; layer < LAYERS; layer++) {
  const name = (part) => `model.layers.${layer}.${part}.weight`;
  for (const part of 'qkvo') add(name(`self_attn.${part}_proj`), [WIDTH, WIDTH]);
  for (const part of ['gate', 'up']) add(name(`mlp.${part}_proj`), [INNER, WIDTH]);
  add(name('mlp.down_proj'), [WIDTH, INNER]);
  for (const part of ['input', 'post_attention']) add(name(`${part}_layernorm`), [WIDTH]);
}
add('model.norm.weight', [WIDTH]);
add('lm_head.weight', [TOKENS, WIDTH]);

const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: TOKENS,
  hidden_size: WIDTH,
  intermediate_size: INNER,
  num_hidden_layers: LAYERS,
  num_attention_heads: HEADS,
  num_key_value_heads: HEADS,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
  torch_dtype: 'bfloat16',
};
const tokenizer = {
  version: '1.0',
  added_tokens: [],
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(Array.from({ length: TOKENS }, (_, i) => [`t${i}`, i])),
    merges: [],
  },
};

/** A stream of numbers from −1 to 1, about bell-shaped. */
function noise(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (((state >>> 16) & 0xff) + (state >>> 24) - 255) / 255;
  };
}

function values(elements, model, number) {
  const [base, own] = [noise(1000 + number), noise(1_000_003 * (model + 1) + number)];
  const floats = new Float32Array(elements);
  for (let i = 0; i < elements; i++) floats[i] = 0.05 * base() + (model === 0 ? 0 : 0.005 * own());
  const bits = new Uint32Array(floats.buffer);
  const rounded = new Uint16Array(elements);
  for (let i = 0; i < elements; i++) rounded[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
  return rounded;
}

for (const [model, name] of ['base', 'a', 'b', 'c'].entries()) {
  const target = join(folder, name);
  const path = join(target, 'model.safetensors');
  if (existsSync(path)) continue;
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, 'config.json'), JSON.stringify(config));
  writeFileSync(join(target, 'tokenizer.json'), JSON.stringify(tokenizer));
  writeFileSync(
    join(target, 'tokenizer_config.json'),
    JSON.stringify({ tokenizer_class: 'PreTrainedTokenizerFast' }),
  );
  const { head, ranges } = planSafetensors(tensors);
  const file = openSync(path, 'w');
  writeSync(file, head);
  for (const [number, tensor] of [...ranges.keys()].entries()) {
    const [rows, columns = 1] = tensors.get(tensor).shape;
    const bits = values(rows * columns, model, number);
    writeSync(file, new Uint8Array(bits.buffer), 0, bits.byteLength, ranges.get(tensor).begin);
  }
  closeSync(file);
}
