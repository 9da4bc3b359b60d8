import type { ModelConfig } from '../config/model-config.js';
import { parameterShapes } from '../config/parameter-shapes.js';

/** Names of llama.cpp for the parts of a block. */
const BLOCK_NAMES: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
};

const TOP_NAMES: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

/** What the angle of each rotated pair is divided by, where positions are scaled other than linearly. */
export const ROPE_FACTORS_TENSOR = 'rope_freqs.weight';

/** What a tensor of the model is in a GGUF file. */
export interface LlamaTensor {
  /** Hugging Face name; of a rotation the name in the file. */
  readonly name: string;
  /** Name in the file. */
  readonly ggufName: string;
  readonly shape: readonly number[];
  /** `vector`: norms and biases. `rotation`: no parameter, but what positions are rotated by. */
  readonly role: 'embedding' | 'vector' | 'projection' | 'rotation';
  /** Elements of a row: what a block format divides, and what is moved as one; 1 for a vector. */
  readonly columns: number;
  /** Heads whose rows are stored pair by pair; 0 for tensors that are stored as they are. */
  readonly rotaryHeads: number;
}

/** The tensors of a model in the order of the file. */
export function llamaTensors(config: ModelConfig): LlamaTensor[] {
  const { ropeScaling, headDim } = config;
  const parameters = parameterTensors(config);
  if (ropeScaling === undefined || ropeScaling.type === 'linear') return parameters;
  const name = ROPE_FACTORS_TENSOR;
  const shape = [headDim / 2];
  return [...parameters, { name, ggufName: name, shape, columns: 1, role: 'rotation', rotaryHeads: 0 }];
}

/** The tensors that hold parameters. */
export function parameterTensors(config: ModelConfig): LlamaTensor[] {
  return [...parameterShapes(config)].map(([name, shape]) => {
    const isEmbedding = name === 'model.embed_tokens.weight' || name === 'lm_head.weight';
    return {
      name,
      ggufName: ggufName(name),
      shape,
      columns: shape.length === 1 ? 1 : (shape.at(-1) ?? 1),
      role: isEmbedding ? 'embedding' : shape.length === 1 ? 'vector' : 'projection',
      rotaryHeads: name.includes('.q_proj.')
        ? config.numHeads
        : name.includes('.k_proj.')
          ? config.numKvHeads
          : 0,
    };
  });
}

function ggufName(name: string): string {
  const [, layer, part = '', kind] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? [];
  return layer === undefined ? (TOP_NAMES[name] ?? name) : `blk.${layer}.${BLOCK_NAMES[part]}.${kind}`;
}

/**
 * Rows of a query or key projection, or its bias as one column, in the order of llama.cpp's `llama` architecture, which rotates components
 * 2i and 2i+1 of a head where Hugging Face rotates i and i + D/2; or, with `back`, the other way.
 * @param weight  [heads · D, columns], row-major; not modified
 * @param heads   query or key heads
 */
export function permuteRotaryRows(
  weight: Float32Array,
  heads: number,
  columns: number,
  back = false,
): Float32Array {
  const half = weight.length / columns / heads / 2;
  const out = new Float32Array(weight.length);
  for (let head = 0; head < heads; head++) {
    for (let side = 0; side < 2; side++) {
      for (let i = 0; i < half; i++) {
        const apart = 2 * half * head + side * half + i;
        const paired = 2 * half * head + 2 * i + side;
        const [from, to] = back ? [paired, apart] : [apart, paired];
        out.set(weight.subarray(from * columns, (from + 1) * columns), to * columns);
      }
    }
  }
  return out;
}
