/** Which tensors of a checkpoint belong to layers. */
export interface Layout {
  /** `model.layers.`; empty when no tensor belongs to a layer. */
  readonly prefix: string;
  readonly layers: number;
}

/** Buffers that other writers leave in a file and that every program computes itself. */
const BUFFERS = /\.rotary_emb\.inv_freq$|\.masked_bias$|\.attn\.bias$/;
const NUMBERED = /^(.*?\.)(\d+)\./;
const EMBEDDINGS =
  /(^|\.)(embed_tokens|embed_in|wte|word_embeddings|tok_embeddings|wpe|embed_positions)(\.|$)/;
const VOCABULARY =
  /(^|\.)(embed_tokens|embed_in|wte|word_embeddings|tok_embeddings|lm_head|embed_out)\.weight$/;
const HEAD = /(^|\.)(lm_head|embed_out)\.weight$/;

/** Whether a tensor is a parameter, not a buffer. */
export function isParameter(name: string): boolean {
  return !BUFFERS.test(name);
}

/** Whether a tensor has a row per token. */
export function isVocabulary(name: string): boolean {
  return VOCABULARY.test(name);
}

/** Whether a tensor makes logits. */
export function isHead(name: string): boolean {
  return HEAD.test(name);
}

/** Whether a tensor comes before the first layer. */
export function isBeforeLayers(name: string): boolean {
  return EMBEDDINGS.test(name);
}

/** The stack of layers of a checkpoint: the numbered prefix with the most tensors. */
export function layoutOf(names: Iterable<string>): Layout {
  const stacks = new Map<string, { count: number; layers: number }>();
  for (const name of names) {
    const [, prefix, number] = NUMBERED.exec(name) ?? [];
    if (prefix === undefined) continue;
    const stack = stacks.get(prefix) ?? { count: 0, layers: 0 };
    stacks.set(prefix, { count: stack.count + 1, layers: Math.max(stack.layers, Number(number) + 1) });
  }
  const [largest] = [...stacks].sort(([, a], [, b]) => b.count - a.count);
  return largest ? { prefix: largest[0], layers: largest[1].layers } : { prefix: '', layers: 0 };
}

/** Layer of a tensor and its name within the layer; null for tensors of no layer. */
export function placeOf(
  { prefix }: Layout,
  name: string,
): { readonly layer: number; readonly rest: string } | null {
  if (prefix === '' || !name.startsWith(prefix)) return null;
  const [, layer, rest] = /^(\d+)\.(.+)$/.exec(name.slice(prefix.length)) ?? [];
  return layer === undefined || rest === undefined ? null : { layer: Number(layer), rest };
}
