import { z } from 'zod';
import type { RopeScaling } from './rope-scaling.js';

/** Kinds of scaling that are refused: why, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  dynamic:
    'changes the wavelengths with the length of the text; texts within max_position_embeddings are computed as with "default": set that',
  yarn: 'also scales attention; take a checkpoint with "linear" or "llama3", or fine-tune this one with one of them',
  longrope:
    'has other factors for long texts, or scales attention; make long_factor equal short_factor, and attention_factor 1',
};

const numbers = z.array(z.number()).nullish();

/** Settings of RoPE as `rope_parameters` (transformers 5, with rope_theta) and `rope_scaling` (before) have them. */
export const hfRope = z
  .looseObject({
    rope_type: z.string().nullish(),
    /** Name of rope_type before transformers 4.45. */
    type: z.string().nullish(),
    rope_theta: z.number().nullish(),
    partial_rotary_factor: z.literal(1, 'must be 1: heads are rotated as a whole').nullish(),
    factor: z.number().nullish(),
    low_freq_factor: z.number().nullish(),
    high_freq_factor: z.number().nullish(),
    original_max_position_embeddings: z.number().nullish(),
    short_factor: numbers,
    long_factor: numbers,
    attention_factor: z.number().nullish(),
  })
  .superRefine((rope, context) => {
    const refuse = (field: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [field], message });
    };
    const type = ropeType(rope);
    const named = rope.rope_type == null ? 'type' : 'rope_type';
    const isFixed =
      type === 'longrope' &&
      rope.attention_factor === 1 &&
      rope.short_factor != null &&
      rope.short_factor.join() === rope.long_factor?.join();
    if (Object.hasOwn(REFUSED, type) && !isFixed) {
      refuse(named, `"${type}" is not supported: it ${REFUSED[type]}`);
    } else if (!Object.hasOwn(NEEDED, type) && !isFixed) {
      refuse(named, `is ${JSON.stringify(type)}; must be one of ${Object.keys(NEEDED).join(', ')}`);
    }
    for (const field of NEEDED[type as keyof typeof NEEDED] ?? []) {
      if (rope[field] == null) refuse(field, `is missing; "${type}" needs it`);
    }
  });

/** Fields that each kind needs. */
const NEEDED = {
  default: [],
  linear: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor'],
} as const;

type HfRope = z.infer<typeof hfRope>;

function ropeType({ rope_type, type }: Pick<HfRope, 'rope_type' | 'type'>): string {
  return rope_type ?? type ?? 'default';
}

/** The scaling that checked settings describe; undefined: none. */
export function fromHfRope(rope: HfRope | null | undefined, contextLength: number): RopeScaling | undefined {
  if (rope == null) return undefined;
  const factor = rope.factor ?? 1;
  switch (ropeType(rope)) {
    case 'linear':
      return { type: 'linear', factor };
    case 'llama3':
      return {
        type: 'llama3',
        factor,
        lowFreqFactor: rope.low_freq_factor ?? 1,
        highFreqFactor: rope.high_freq_factor ?? 1,
        originalContextLength: rope.original_max_position_embeddings ?? contextLength,
      };
    case 'longrope':
      return { type: 'factors', factors: rope.short_factor ?? [] };
    default:
      return undefined;
  }
}

/** `rope_scaling` of a configuration; factors of their own are a "longrope" that does not change with the length. */
export function toHfRope(scaling: RopeScaling | undefined, contextLength: number) {
  switch (scaling?.type) {
    case undefined:
      return null;
    case 'linear':
      return { factor: scaling.factor, rope_type: 'linear' };
    case 'llama3':
      return {
        factor: scaling.factor,
        high_freq_factor: scaling.highFreqFactor,
        low_freq_factor: scaling.lowFreqFactor,
        original_max_position_embeddings: scaling.originalContextLength,
        rope_type: 'llama3',
      };
    case 'factors':
      return {
        attention_factor: 1,
        factor: 1,
        long_factor: scaling.factors,
        original_max_position_embeddings: contextLength,
        rope_type: 'longrope',
        short_factor: scaling.factors,
      };
  }
}
