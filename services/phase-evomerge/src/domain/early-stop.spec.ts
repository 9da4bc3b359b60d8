import { estimatedLoss, HopelessSignal, PrefixWatch, type Reference } from './early-stop.js';

const REFERENCE: Reference = {
  lossNats: 3,
  flopPerToken: 1,
  parameters: 1,
  prefixes: [
    { tokens: 32, lossNats: 2 },
    { tokens: 64, lossNats: 4 },
  ],
};

/** What a model of one loss everywhere looks like, in batches of 16 of 100 tokens. */
function follow(watch: PrefixWatch, lossNats: number): number {
  for (let tokens = 16; tokens <= 100; tokens += 16) watch.see({ tokens, nats: tokens * lossNats });
  watch.see({ tokens: 100, nats: 100 * lossNats });
  return watch.prefixes.length;
}

describe('PrefixWatch', () => {
  it('notes the loss at the first batch that ends at or behind a quarter and a half', () => {
    const watch = new PrefixWatch(100);
    expect(follow(watch, 9)).toBe(2);
    expect(watch.prefixes).toEqual([
      { tokens: 32, lossNats: 9 },
      { tokens: 64, lossNats: 9 },
    ]);
  });

  it.each([
    [2.4, undefined],
    [2.6, 32],
  ])('compares a loss of %d with the reference on the same tokens', (lossNats, stopsAt) => {
    const watch = new PrefixWatch(100, REFERENCE, 0.5);
    const run = () => follow(watch, lossNats);
    if (stopsAt === undefined) expect(run()).toBe(2);
    else expect(run).toThrow(new HopelessSignal({ tokens: stopsAt, lossNats }));
  });

  it('looks again at a half', () => {
    const watch = new PrefixWatch(100, REFERENCE, 0.5);
    watch.see({ tokens: 32, nats: 32 * 2 });
    expect(() => watch.see({ tokens: 64, nats: 64 * 4.6 })).toThrow(HopelessSignal);
  });

  it('never stops at the last token: the loss is known then', () => {
    const watch = new PrefixWatch(100, { ...REFERENCE, prefixes: [{ tokens: 100, lossNats: 1 }] }, 0.5);
    watch.see({ tokens: 100, nats: 900 });
    expect(watch.prefixes).toEqual([]);
  });

  it('does not compare what was measured on other tokens', () => {
    const prefixes = [{ tokens: 48, lossNats: 1 }];
    expect(follow(new PrefixWatch(100, { ...REFERENCE, prefixes }, 0.5), 9)).toBe(2);
  });
});

it('estimatedLoss() keeps the distance to the reference', () => {
  expect(estimatedLoss({ tokens: 32, lossNats: 2.75 }, REFERENCE)).toBe(3.75);
});
