import type { MergeParameter, Settings } from './parameter.js';

/** The number under a name. Settings are complete: a missing one is an error of this package. */
export function numberOf(settings: Settings, name: string): number {
  const value = settings[name];
  if (typeof value !== 'number') throw new TypeError(`setting ${name} is ${String(value)}, not a number`);
  return value;
}

/** The truth value under a name. */
export function flagOf(settings: Settings, name: string): boolean {
  return settings[name] === true;
}

/** One number per model. */
export function numbersOf(models: readonly Settings[], name: string): number[] {
  return models.map((settings) => numberOf(settings, name));
}

/** How much a model counts. */
export const WEIGHT: MergeParameter = {
  name: 'weight',
  kind: 'number',
  scope: 'model',
  summary: 'How much a model counts',
};

/** Accepted because recipes have it: it chooses a type for masks that are not materialised here. */
export const INT8_MASK: MergeParameter = {
  name: 'int8_mask',
  kind: 'boolean',
  scope: 'merge',
  default: false,
  summary: 'No effect: masks are never stored here',
};
