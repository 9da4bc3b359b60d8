import { CachePolicy } from '@agentforge/contracts';
import { isHopeless, randomGraph, randomWishes } from './graphs.mjs';
import { randomOf } from './random.mjs';

const random = () => randomOf('1', 'load');
const graphs = Array.from(
  { length: 300 },
  (
    (one) => (_: unknown, i: number) =>
      randomGraph(one, `r${i}`)
  )(random()),
);
const steps = graphs.flatMap((graph) => graph.steps);

describe('randomGraph()', () => {
  it('is determined by the random numbers', () => {
    expect(randomGraph(random(), 'r0')).toEqual(graphs[0]);
  });

  it('has steps of every kind, most of them plain', () => {
    const isPlain = (step: (typeof steps)[number]) =>
      !isHopeless(step) && step.cache === CachePolicy.OFF && step.resources === undefined;
    const share = (isMeant: typeof isPlain) => steps.filter(isMeant).length / steps.length;
    expect(share(isPlain)).toBeGreaterThan(0.4);
    expect(share(isHopeless)).toBeGreaterThan(0.03);
    expect(share(({ cache }) => cache === CachePolicy.READ_WRITE)).toBeGreaterThan(0.05);
    expect(share(({ resources }) => resources !== undefined)).toBeGreaterThan(0.1);
    expect(share(({ config }) => config.crashes === 1)).toBeGreaterThan(0.03);
  });

  it('has a fallback for exactly those steps whose work never succeeds', () => {
    for (const step of steps) expect(step.allowFallback).toBe(isHopeless(step));
  });

  it('has work that is shared with others without a failure, a journal or an input, and few kinds of it', () => {
    const shared = steps.filter(({ cache }) => cache === CachePolicy.READ_WRITE);
    for (const { config, inputs, seed } of shared) {
      expect(seed).toBeDefined();
      expect(inputs).toEqual([]);
      expect(Object.keys(config).sort()).toEqual(['checkpoint_every', 'output_bytes', 'unit_ms', 'units']);
    }
    expect(new Set(shared.map(({ config, seed }) => `${seed} ${JSON.stringify(config)}`)).size).toBeLessThan(
      9,
    );
  });

  it('has every other step in the journal, under a key of its own', () => {
    const own = steps
      .filter(({ cache }) => cache === CachePolicy.OFF)
      .map(({ config }) => config.journal_key);
    expect(own).not.toContain(undefined);
    expect(new Set(own).size).toBe(own.length);
  });
});

describe('randomWishes()', () => {
  it('lets some runs be paused, some cancelled, and most alone', () => {
    const one = random();
    const wishes = Array.from({ length: 300 }, () => randomWishes(one));
    const count = (isMeant: (wish: (typeof wishes)[number]) => boolean) => wishes.filter(isMeant).length;
    expect(count(({ pause }) => pause !== undefined)).toBeGreaterThan(30);
    expect(count(({ cancelAfterMs }) => cancelAfterMs !== undefined)).toBeGreaterThan(15);
    expect(count((wish) => Object.keys(wish).length === 0)).toBeGreaterThan(150);
  });
});
