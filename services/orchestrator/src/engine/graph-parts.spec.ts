import { type StepSpec, StepSpecSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { inDependencyOrder, MAX_PART_BYTES, needsParts, nextPart, stepBytes } from './graph-parts.js';

const spec = (id: string, after: string[] = [], size = 0): StepSpec =>
  create(StepSpecSchema, { id, phase: 'noop', after, config: { text: 'x'.repeat(size) } });

/** Steps in any order, each depending on some of those with a lower number. */
const anyGraph = fc
  .array(fc.array(fc.nat(1_000), { maxLength: 4 }), { minLength: 1, maxLength: 60 })
  .map((links) =>
    links.map((ids, i) => spec(`s${i}`, i === 0 ? [] : [...new Set(ids.map((n) => `s${n % i}`))])),
  )
  .chain((steps) => fc.shuffledSubarray(steps, { minLength: steps.length }));

describe('inDependencyOrder()', () => {
  it('gives every step once, after those that it depends on', () => {
    fc.assert(
      fc.property(anyGraph, (steps) => {
        const ordered = inDependencyOrder(steps);
        expect(new Set(ordered)).toEqual(new Set(steps));
        const seen = new Set<string>();
        for (const { id, after } of ordered) {
          for (const before of after) expect(seen).toContain(before);
          seen.add(id);
        }
        expect(inDependencyOrder(ordered)).toEqual(ordered);
      }),
    );
  });

  it('takes a chain of 10,000 steps in the wrong order', () => {
    const chain = Array.from({ length: 10_000 }, (_, i) => spec(`s${i}`, i === 0 ? [] : [`s${i - 1}`]));
    expect(inDependencyOrder(chain.toReversed())).toEqual(chain);
  });
});

describe('nextPart()', () => {
  it('splits steps into parts that fit, without losing one', () => {
    const steps = Array.from({ length: 500 }, (_, i) => spec(`s${i}`, [], (i * 37) % 4_000));
    expect(needsParts(steps)).toBe(true);
    const parts: StepSpec[][] = [];
    for (let from = 0; from < steps.length; from += parts.at(-1)?.length ?? 1)
      parts.push(nextPart(steps, from));
    expect(parts.flat()).toEqual(steps);
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts)
      expect(part.reduce((sum, one) => sum + stepBytes(one), 0)).toBeLessThanOrEqual(MAX_PART_BYTES);
  });
});
