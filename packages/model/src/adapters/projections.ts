import { Linear } from '@agentforge/tensor';
import type { LlamaModel } from '../llama/llama-model.js';

/** The matrices of a block, by the end of their names: what adapters and ternary layers are put in the place of. */
export const PROJECTIONS = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
] as const;

/** Name of a matrix of a block. */
export type Projection = (typeof PROJECTIONS)[number];

/**
 * Puts other layers in the place of the projections with these names, in every block.
 * @param layerFor  gets the full name of the layer, such as `model.layers.0.mlp.up_proj`
 * @returns         the new layers, by full name
 */
export function replaceProjections<T extends Linear>(
  model: LlamaModel,
  targets: readonly string[],
  layerFor: (name: string, layer: Linear) => T,
): Map<string, T> {
  const replaced = new Map<string, T>();
  model.replaceModules((name, module) => {
    const last = name.slice(name.lastIndexOf('.') + 1);
    if (!(module instanceof Linear) || !name.startsWith('model.layers.') || !targets.includes(last))
      return module;
    const layer = layerFor(name, module);
    replaced.set(name, layer);
    return layer;
  });
  return replaced;
}
