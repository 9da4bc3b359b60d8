import { BitLinear } from '@agentforge/tensor';
import type { LlamaModel } from '../llama/llama-model.js';
import { PROJECTIONS, type Projection, replaceProjections } from './projections.js';

/** The ternary layers of a model. The layers belong to the model; this is the handle on all of them. */
export class BitNetLayers {
  /** By the full name of the layer, in the order of the model. */
  readonly layers: ReadonlyMap<string, BitLinear>;

  /** Use `toBitNet`. */
  constructor(layers: ReadonlyMap<string, BitLinear>) {
    this.layers = layers;
  }

  /** Share of the roundings that is applied, 0 … 1. */
  setLambda(lambda: number): void {
    for (const layer of this.layers.values()) layer.lambda = lambda;
  }

  /** Rounds the weights once, for inference. */
  pack(): void {
    for (const layer of this.layers.values()) layer.pack();
  }

  /** Back to training. */
  unpack(): void {
    for (const layer of this.layers.values()) layer.unpack();
  }

  /** The weights as they are computed with, by name, for a file: `model.layers.0.mlp.up_proj.weight`. */
  ternaryWeights(): Map<string, Float32Array> {
    return new Map(
      [...this.layers].map(([name, layer]) => {
        const weight = layer.ternaryWeight();
        const values = weight.toFloat32Array();
        weight.dispose();
        return [`${name}.weight`, values];
      }),
    );
  }
}

/**
 * Makes the projections of a model's blocks ternary (BitNet b1.58), in place. Embedding, norms and output projection
 * stay as they are; the norms before the projections are those of the blocks, so an exported file is a plain llama.
 * Full-precision weights go on being trained and are what `exportWeights` and `saveModel` give; `exportGguf` writes the
 * ternary ones.
 * @throws UnmergedAdapterError  FAILED_PRECONDITION: an adapter that is not merged, which would be lost
 */
export function toBitNet(model: LlamaModel, targets: readonly Projection[] = PROJECTIONS): BitNetLayers {
  model.storedParameters();
  return new BitNetLayers(replaceProjections(model, targets, (_, layer) => BitLinear.from(layer)));
}

/**
 * Warm-up of the roundings for weights that were trained without them: step / steps, then 1.
 * @see Hugging Face, "Fine-tuning LLMs to 1.58bit", 2024: λ = min(step / 1000, 1)
 */
export function lambdaWarmup(steps: number): (step: number) => number {
  return (step) => (steps <= 0 ? 1 : Math.min(1, step / steps));
}
