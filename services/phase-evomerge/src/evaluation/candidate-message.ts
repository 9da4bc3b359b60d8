import type { JsonValue } from '@bufbuild/protobuf';
import { z } from 'zod';
import type { Reference } from '../domain/early-stop.js';
import type { Measured } from '../domain/fitness.js';
import type { Recipe, SourceId } from '../domain/recipe.js';
import type { Closure } from './content.js';

/** Most recipes that one individual may be made with, and most layers, groups and sources of one. */
const MAX_RECIPES = 4_096;
const MAX_PARTS = 1_024;

const number = z.number();
const count = z.int().min(0).max(MAX_PARTS);
const sources = z
  .array(z.string().regex(/^(p\d{1,3}|[0-9a-f]{64})$/))
  .min(1)
  .max(MAX_PARTS);
const weights = z.array(z.array(number).max(MAX_PARTS)).max(MAX_PARTS);
const pick = z.strictObject({ source: count, layer: count });
const taskMix = { sources, weights, density: number, lambda: number };

/** As strict as the types of recipes: what passes is one that breeding could have made. */
const recipe = z.discriminatedUnion('operator', [
  z.strictObject({ operator: z.enum(['linear', 'multislerp']), sources, weights, normalize: z.boolean() }),
  z.strictObject({
    operator: z.enum(['slerp', 'nuslerp']),
    sources: sources.length(2),
    t: z.array(number).max(MAX_PARTS),
  }),
  z.strictObject({
    operator: z.enum(['task_arithmetic', 'ties', 'breadcrumbs', 'breadcrumbs_ties']),
    ...taskMix,
  }),
  z.strictObject({
    operator: z.enum(['dare_linear', 'dare_ties', 'della', 'della_linear']),
    ...taskMix,
    rescale: z.enum(['match_l1', 'inverse_density', 'none']),
    seed: z.int().min(0).max(0xffff_ffff),
  }),
  z.strictObject({
    operator: z.enum(['karcher', 'sce', 'ram', 'ramplus_tl']),
    sources,
    settings: z.record(z.string(), number),
  }),
  z.strictObject({
    operator: z.literal('frankenmerge'),
    sources,
    layers: z.array(pick).max(MAX_PARTS),
    frame: count,
  }),
  z.strictObject({
    operator: z.literal('dfs'),
    sources,
    layers: z.array(pick.extend({ scale: number })).max(MAX_PARTS),
    frame: count,
  }),
]);

const prefix = z.strictObject({ tokens: z.int().positive(), lossNats: number });

const reference = z.strictObject({
  lossNats: number,
  flopPerToken: number.positive(),
  parameters: z.int().positive(),
  taskAccuracy: number.min(0).max(1).optional(),
  prefixes: z.array(prefix).max(4),
});

const message = z.strictObject({
  /** Name by content. */
  candidate: z.string(),
  /** Sources before what is made of them. */
  recipes: z.array(z.tuple([z.string(), recipe])).max(MAX_RECIPES),
  notesPrefixes: z.boolean(),
  reference: reference.optional(),
});

/** An individual that anyone with the parents can measure. */
export interface CandidateMessage {
  readonly candidate: SourceId;
  readonly recipes: Closure;
  readonly notesPrefixes: boolean;
  /** Absent: it is measured to the end. */
  readonly reference?: Reference | undefined;
}

/** A candidate as JSON. */
export function encodeCandidate({ recipes, ...rest }: CandidateMessage): JsonValue {
  return JSON.parse(JSON.stringify({ ...rest, recipes: [...recipes] })) as JsonValue;
}

/**
 * Reads one back.
 * @param parents  names of the parents
 * @throws Error  it is malformed, or made of something that it does not explain
 */
export function decodeCandidate(value: JsonValue, parents: ReadonlySet<SourceId>): CandidateMessage {
  const { recipes, ...rest } = message.parse(value);
  const { candidate } = rest;
  const known = new Set(parents);
  for (const [name, { sources }] of recipes) {
    const unknown = sources.find((source) => !known.has(source));
    if (unknown !== undefined) throw new TypeError(`${name} is made of ${unknown}, which nothing explains`);
    known.add(name);
  }
  if (!known.has(candidate)) throw new TypeError(`nothing explains ${candidate}`);
  return { ...rest, recipes: new Map(recipes as [SourceId, Recipe][]) } as CandidateMessage;
}

/** JSON has no number for a loss that is none. */
const measured = z.strictObject({
  lossNats: number.nullable(),
  flopPerToken: number.positive(),
  parameters: z.int().positive(),
  taskAccuracy: number.min(0).max(1).optional(),
  prefixes: z
    .array(prefix.extend({ lossNats: number.nullable() }))
    .max(4)
    .optional(),
  stoppedEarly: prefix.optional(),
});

/** A measurement as JSON. */
export function encodeMeasured(value: Measured): JsonValue {
  return JSON.parse(JSON.stringify(value)) as JsonValue;
}

/** Reads one back. @returns undefined when it is none */
export function decodeMeasured(value: JsonValue): Measured | undefined {
  const { data } = measured.safeParse(value);
  if (!data) return undefined;
  const { lossNats, prefixes, ...rest } = data;
  const noted = prefixes?.map(({ tokens, lossNats }) => ({ tokens, lossNats: lossNats ?? Number.NaN }));
  return { ...rest, lossNats: lossNats ?? Number.NaN, ...(noted ? { prefixes: noted } : {}) } as Measured;
}
