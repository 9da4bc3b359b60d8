import { z } from 'zod';

const factor = z.number().min(1).max(1e6);

/**
 * How the rotations of a model that was stretched to longer texts differ from those of `ropeTheta` alone.
 * `linear`: every angle is divided by one factor. `llama3`: slow pairs are, fast ones are not, those between in part.
 * `factors`: one number for each pair, as GGUF files list them.
 * @see Chen et al. 2023, arXiv:2306.15595 (linear); Meta's Llama 3.1 (llama3)
 */
export const ropeScalingSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('linear'), factor }),
  z.strictObject({
    type: z.literal('llama3'),
    factor,
    lowFreqFactor: z.number().positive(),
    highFreqFactor: z.number().positive(),
    originalContextLength: z.int().min(1),
  }),
  z.strictObject({ type: z.literal('factors'), factors: z.array(z.number().positive()).min(1) }),
]);

/** Scaling of the rotary positions. */
export type RopeScaling = Readonly<z.infer<typeof ropeScalingSchema>>;

/** The part of a configuration that positions are rotated by. */
export interface RotaryConfig {
  readonly headDim: number;
  readonly ropeTheta: number;
  readonly ropeScaling?: RopeScaling | undefined;
}

/** What the angle of each pair is divided by, headDim / 2 numbers; none when nothing is scaled. */
export function ropeFactors({ headDim, ropeTheta, ropeScaling: scaling }: RotaryConfig): readonly number[] {
  if (scaling === undefined) return [];
  if (scaling.type === 'factors') return scaling.factors;
  return Array.from({ length: headDim / 2 }, (_, pair) =>
    scaling.type === 'linear'
      ? scaling.factor
      : llama3Factor(2 * Math.PI * ropeTheta ** ((2 * pair) / headDim), scaling),
  );
}

/** Wavelengths above original / low are stretched by the factor, those below original / high not at all. */
function llama3Factor(wavelength: number, scaling: RopeScaling & { readonly type: 'llama3' }): number {
  const { factor, lowFreqFactor: low, highFreqFactor: high, originalContextLength: original } = scaling;
  if (wavelength < original / high) return 1;
  if (wavelength > original / low) return factor;
  const unscaled = (original / wavelength - low) / (high - low);
  return 1 / ((1 - unscaled) / factor + unscaled);
}
