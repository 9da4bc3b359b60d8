import type { Philox } from '@agentforge/tensor';
import { arithmeticText } from './arithmetic.js';
import { automataText } from './automata.js';
import { modularText } from './modular.js';
import { recallText } from './recall.js';

/** Text with exact answers, a function of the seed: about 300 kB each, so that a default run sees a line at most a few times. */
export const GENERATORS = {
  arithmetic: (rng: Philox) => arithmeticText(20_000, rng),
  modular: (rng: Philox) => modularText(16_000, rng),
  automata: (rng: Philox) => automataText(3_500, rng),
  recall: (rng: Philox) => recallText(1_500, rng),
} as const;

/** Name of a generator, and of its share in a specialisation. */
export type GeneratorName = keyof typeof GENERATORS;

/** The generators, in the order in which rows are drawn from them. */
export const GENERATOR_NAMES = Object.keys(GENERATORS) as GeneratorName[];
