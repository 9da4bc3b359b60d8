import { Philox } from '@agentforge/tensor';
import type { JsonValue } from '@bufbuild/protobuf';
import type { Measured } from '../domain/fitness.js';
import { randomRecipe } from '../domain/genome.js';
import { GENOME_OPERATORS } from '../domain/recipe.js';
import { decodeCandidate, decodeMeasured, encodeCandidate, encodeMeasured } from './candidate-message.js';

const PARENTS = new Set(['p0', 'p1', 'p2']);
const NAME = 'a'.repeat(64);
const SPACE = { operators: GENOME_OPERATORS, layers: 3, extraLayers: 1, dareRescale: 'match_l1' as const };

describe('a candidate as JSON', () => {
  it.each(GENOME_OPERATORS)('comes back as it was: %s', (operator) => {
    const recipe = randomRecipe(operator, [...PARENTS], SPACE, new Philox(1).stream(operator), 0.5);
    const reference = {
      lossNats: 3,
      flopPerToken: 10,
      parameters: 5,
      taskAccuracy: 0.25,
      prefixes: [{ tokens: 4, lossNats: 2 }],
    };
    const message = { candidate: NAME, recipes: new Map([[NAME, recipe]]), notesPrefixes: false, reference };
    expect(decodeCandidate(encodeCandidate(message), PARENTS)).toEqual(message);
  });

  const slerp = { operator: 'slerp', sources: ['p0', 'p1'], t: [0.5] };
  const message = (recipe: JsonValue, candidate = NAME): JsonValue => ({
    candidate,
    recipes: [[NAME, recipe]],
    notesPrefixes: false,
  });

  it.each<[string, JsonValue]>([
    ['no object', 7],
    ['an unknown operator', message({ ...slerp, operator: 'sum' })],
    ['an unknown field', message({ ...slerp, path: '/etc' })],
    ['no number', message({ ...slerp, t: [null] })],
    ['a source that nothing explains', message({ ...slerp, sources: ['p0', 'b'.repeat(64)] })],
    ['a parent that there is not', message({ ...slerp, sources: ['p0', 'p9'] })],
    ['a source that is itself', message({ ...slerp, sources: ['p0', NAME] })],
    ['a candidate that nothing explains', message(slerp, 'c'.repeat(64))],
    ['a file for a source', message({ ...slerp, sources: ['p0', '../model'] })],
  ])('is refused with %s', (_, value) => {
    expect(() => decodeCandidate(value, PARENTS)).toThrow();
  });
});

describe('a measurement as JSON', () => {
  it.each<Measured>([
    { lossNats: 0.1 + 0.2, flopPerToken: 12, parameters: 3 },
    { lossNats: Number.NaN, flopPerToken: 12, parameters: 3, taskAccuracy: 0.5 },
    { lossNats: 2, flopPerToken: 1, parameters: 1, prefixes: [{ tokens: 9, lossNats: Number.NaN }] },
    { lossNats: 2, flopPerToken: 1, parameters: 1, stoppedEarly: { tokens: 9, lossNats: 3 } },
  ])('comes back as it was: %j', (measured) => {
    expect(decodeMeasured(encodeMeasured(measured))).toEqual(measured);
  });

  it.each<JsonValue>([
    null,
    {},
    { lossNats: '2', flopPerToken: 1, parameters: 1 },
    { lossNats: 2, flopPerToken: 0, parameters: 1 },
    { lossNats: 2, flopPerToken: 1, parameters: 1, more: 1 },
  ])('is none: %j', (value) => {
    expect(decodeMeasured(value)).toBeUndefined();
  });
});
