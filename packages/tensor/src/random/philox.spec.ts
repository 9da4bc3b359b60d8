import { ArgumentError, normal, Philox, uniform } from '../index.js';
import { inverseNormal } from './inverse-normal.js';
import { philox4x32 } from './philox-words.js';

const hex = (words: Uint32Array): string[] => [...words].map((word) => word.toString(16).padStart(8, '0'));

describe('philox4x32()', () => {
  it.each([
    ['zeros', [0, 0], [0, 0, 0, 0], ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']],
    ['ones', [-1, -1], [-1, -1, -1, -1], ['408f276d', '41c83b0e', 'a20bc7c6', '6d5451fd']],
    [
      'digits of pi',
      [0xa4093822, 0x299f31d0],
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      ['d16cfe09', '94fdcceb', '5001e420', '24126ea1'],
    ],
  ] as const)('gives the known answer of Random123 for %s', (_, [k0, k1], [c0, c1, c2, c3], words) => {
    const out = new Uint32Array(4);
    philox4x32(out, k0, k1, c0, c1, c2, c3);
    expect(hex(out)).toEqual(words);
  });
});

describe('inverseNormal()', () => {
  // Quantiles from Python's statistics.NormalDist().inv_cdf.
  it.each([
    [0.5, 0],
    [0.3, -0.5244005127080407],
    [0.99, 2.3263478740408408],
    [1e-5, -4.2648907939228256],
    [1e-9, -5.9978070150076865],
    [1e-15, -7.941345326170998],
  ])('of %d is %d', (u, z) => {
    expect(inverseNormal(u)).toBeCloseTo(z, 12);
  });
});

describe('Philox', () => {
  it('goes on from a saved state, also from the middle of a block', () => {
    const stream = new Philox(5);
    for (let drawn = 0; drawn < 9; drawn++) {
      const copy = Philox.fromState(JSON.parse(JSON.stringify(stream.state)));
      const next = [stream.uint32(), stream.uint32()];
      expect([copy.uint32(), copy.uint32()]).toEqual(next);
    }
  });

  it('gives streams of their own to names, and does not advance for them', () => {
    const stream = new Philox(5);
    const [a, b] = [stream.stream('a'), stream.stream('b')];
    expect(a.uint32()).not.toBe(b.uint32());
    expect(stream.stream('a').uint32()).toBe(new Philox(5).stream('a').uint32());
    expect(stream.state.counter).toBe('0');
    expect(stream.stream('a').state.key).not.toBe(stream.stream('a').stream('a').state.key);
  });

  it('draws integers evenly: chi-square over 10 cells below the 99.9 % quantile 27.88', () => {
    const stream = new Philox(11);
    const counts = new Float64Array(10);
    for (let i = 0; i < 20_000; i++) {
      const cell = stream.integer(10);
      counts[cell] = (counts[cell] ?? 0) + 1;
    }
    const chiSquare = counts.reduce((total, count) => total + (count - 2000) ** 2 / 2000, 0);
    expect(chiSquare).toBeLessThan(27.88);
  });

  it('draws normal numbers with the right moments, within five standard errors', () => {
    const values = normal(new Philox(3), [20_000], 1, 2).toFloat32Array();
    const mean = values.reduce((total, value) => total + value, 0) / values.length;
    const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean - 1)).toBeLessThan(5 * (2 / Math.sqrt(20_000)));
    expect(Math.abs(variance - 4)).toBeLessThan(5 * 4 * Math.sqrt(2 / 20_000));
  });

  it('fills tensors with what the host would draw, and advances by whole blocks', () => {
    const [device, host] = [new Philox(9), new Philox(9)];
    const first = uniform(device, [5], -1, 3).toTypedArray();
    const second = normal(device, [3]).toTypedArray();
    for (const value of first) expect(value).toBeCloseTo(-1 + 4 * host.float(), 6);
    host.align();
    for (const value of second) expect(value).toBe(Math.fround(host.normal()));
    expect(device.state.counter).toBe('12');
  });

  it('permutes and chooses', () => {
    const stream = new Philox(2);
    expect([...stream.permutation(50)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, i) => i),
    );
    const counts = [0, 0, 0];
    for (let i = 0; i < 4000; i++) {
      const chosen = stream.choice([1, 0, 3]);
      counts[chosen] = (counts[chosen] ?? 0) + 1;
    }
    expect(counts[1]).toBe(0);
    expect(Math.abs((counts[2] ?? 0) - 3000)).toBeLessThan(5 * Math.sqrt(4000 * 0.75 * 0.25));
  });

  it.each([
    ['a fractional seed', () => new Philox(0.5)],
    ['an empty range', () => new Philox(1).integer(0)],
    ['weights of zero', () => new Philox(1).choice([0, 0])],
    ['a broken key', () => Philox.fromState({ key: 'xyz', counter: '0' })],
    ['a broken counter', () => Philox.fromState({ key: '0'.repeat(16), counter: '-1' })],
  ])('refuses %s', (_, run) => {
    expect(run).toThrow(ArgumentError);
  });
});
