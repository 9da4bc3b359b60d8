import { Samples } from './samples.mjs';

describe('Samples', () => {
  it('has quantiles by nearest rank, whatever the order', () => {
    const hundred = new Samples(Array.from({ length: 100 }, (_, i) => ((i * 37) % 100) + 1));
    expect([0, 0.5, 0.9, 0.99, 0.991, 1].map((share) => hundred.quantile(share))).toEqual([
      1, 50, 90, 99, 100, 100,
    ]);
    expect(hundred).toMatchObject({ count: 100, median: 50, max: 100, mean: 50.5 });
  });

  it('has the largest of few values as their 99th percentile', () => {
    expect(new Samples([3, 9, 1]).quantile(0.99)).toBe(9);
  });

  it('sees values that come after a quantile was asked for, and keeps their order', () => {
    const samples = new Samples();
    for (let i = 5_000; i > 0; i--) samples.add(i);
    expect(samples.max).toBe(5_000);
    samples.add(9_999);
    expect(samples.max).toBe(9_999);
    expect([...samples.values().slice(0, 3)]).toEqual([5_000, 4_999, 4_998]);
    expect(samples.count).toBe(5_001);
  });

  it('is merged value by value', () => {
    const merged = Samples.merged([new Samples([1, 2]), new Samples(), new Samples([10])]);
    expect([...merged.values()]).toEqual([1, 2, 10]);
    expect(merged.countAbove(1)).toBe(2);
  });

  it('refuses what is no measurement, and has no quantile of nothing', () => {
    expect(() => new Samples().add(Number.NaN)).toThrow(RangeError);
    expect(() => new Samples().quantile(0.5)).toThrow(/no measurements/);
  });
});
