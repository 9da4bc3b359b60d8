/** Weights of a model by Hugging Face name, flat f32, in canonical order. */
export type Weights = ReadonlyMap<string, Float32Array>;

/** Shape of a tensor of the parents' kind, by name. */
export type ShapeOf = (name: string, length: number) => readonly number[];

/** Every tensor as a vector: enough for methods that do not look at rows. */
export const asVector: ShapeOf = (_, length) => [length];

/** Shapes from those of a model with at least one layer; layers that stacking added have them too. */
export function shapesOf(shapes: ReadonlyMap<string, readonly number[]>): ShapeOf {
  return (name, length) => shapes.get(name.replace(/^model\.layers\.\d+\./, 'model.layers.0.')) ?? [length];
}

/** Name and layer of a tensor of a decoder layer; null for embedding, final norm and head. */
export function layerOf(name: string): { readonly layer: number; readonly rest: string } | null {
  const [, layer, rest] = /^model\.layers\.(\d+)\.(.+)$/.exec(name) ?? [];
  return layer === undefined || rest === undefined ? null : { layer: Number(layer), rest };
}

/** Name of a tensor of a decoder layer. */
export function layerTensor(layer: number, rest: string): string {
  return `model.layers.${layer}.${rest}`;
}

/** Groups that get merge parameters of their own: the embedding (and head), each layer, the final norm. */
export function groupCount(layers: number): number {
  return layers + 2;
}

/** Group of a tensor: 0 for embedding and head, `1 + layer` for layers, `layers + 1` for the final norm. */
export function groupOf(name: string, layers: number): number {
  const inLayer = layerOf(name);
  if (inLayer) return 1 + inLayer.layer;
  return name === 'model.norm.weight' ? layers + 1 : 0;
}

/** Decoder layers of a set of weights. */
export function layersOf(weights: Weights): number {
  let layers = 0;
  for (const name of weights.keys()) layers = Math.max(layers, (layerOf(name)?.layer ?? -1) + 1);
  return layers;
}

/** Bytes of a set of weights in memory. */
export function sizeBytesOf(weights: Weights): number {
  let elements = 0;
  for (const values of weights.values()) elements += values.length;
  return elements * Float32Array.BYTES_PER_ELEMENT;
}
