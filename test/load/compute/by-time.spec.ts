import { trainByTime } from './by-time.mjs';

/** The rates of a training whose steps take the given time each. */
function ratesOf(millisecondsPerStep: number): { rates: number[]; steps: number } {
  let now = 5000;
  const rates: number[] = [];
  const steps = trainByTime({ seconds: 90, warmup: 3, peak: 1.2e-3, clock: () => now }, (rate) => {
    rates.push(rate);
    now += millisecondsPerStep;
  });
  return { rates, steps };
}

describe('training by time', () => {
  it('warms up, then falls along a cosine to nothing at the end', () => {
    const { rates, steps } = ratesOf(100);
    expect(steps).toBe(900);
    expect(rates[0]).toBeLessThan(1e-6);
    expect(rates[15]).toBeCloseTo(0.6e-3, 6);
    expect(rates[30]).toBeCloseTo(1.2e-3, 6);
    expect(rates[465]).toBeCloseTo(0.6e-3, 6);
    expect(rates[899]).toBeLessThan(1e-7);
    expect(Math.max(...rates)).toBeLessThanOrEqual(1.2e-3);
  });

  it('has the same rate at the same moment, however long steps take', () => {
    const [fast, slow] = [ratesOf(100), ratesOf(1500)];
    expect(slow.steps).toBe(60);
    expect(slow.rates).toEqual(slow.rates.map((_, i) => fast.rates[15 * i]));
  });

  it('takes no step after the end', () => {
    expect(ratesOf(91_000).steps).toBe(1);
  });
});
