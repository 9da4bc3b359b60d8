import type { NativeAddon } from '@agentforge/native';
import { announceFallbacks } from './fallback.js';

/** A table of a device that has `exp` and lacks `svd` and `muon`. */
function tableOn(device: 'cpu' | 'cuda') {
  const counts: Record<string, number> = {};
  const lacking = (name: string) => (x: number) => {
    counts[name] = (counts[name] ?? 0) + 1;
    return 2 * x;
  };
  const functions = {
    backendInfo: () => ({ device }),
    supportsOp: (name: string) => device === 'cpu' || (name !== 'svd' && name !== 'muon'),
    fallbacks: () => counts,
    exp: (x: number) => x,
    svd: lacking('svd'),
    muon: lacking('muon'),
  };
  return { table: functions as unknown as NativeAddon, functions, counts };
}

describe('announceFallbacks()', () => {
  const said: string[] = [];
  const { emitWarning } = process;
  beforeEach(() => {
    said.length = 0;
    process.emitWarning = (warning) => void said.push(String(warning));
  });
  afterEach(() => {
    process.emitWarning = emitWarning;
  });

  it('says once per op that it runs on the processor', () => {
    const { table, functions, counts } = tableOn('cuda');
    announceFallbacks(table);
    expect([functions.svd(2), functions.svd(3), functions.muon(4)]).toEqual([4, 6, 8]);
    expect(counts).toEqual({ svd: 2, muon: 1 });
    expect(said).toEqual([
      expect.stringMatching(/^svd runs on the processor: device cuda lacks it/),
      expect.stringMatching(/^muon runs on the processor/),
    ]);
  });

  it('is silent when another thread has said it, and about ops that the device has', () => {
    const { table, functions, counts } = tableOn('cuda');
    announceFallbacks(table);
    counts['svd'] = 1;
    functions.svd(1);
    functions.exp(1);
    expect(said).toEqual([]);
  });

  it('a refused call throws and is announced by the first that runs', () => {
    const { table, functions } = tableOn('cuda');
    const { svd } = functions;
    let refused = true;
    functions.svd = (x) => {
      if (refused) throw new Error('refused');
      return svd(x);
    };
    announceFallbacks(table);
    expect(() => functions.svd(1)).toThrow('refused');
    refused = false;
    functions.svd(1);
    expect(said).toHaveLength(1);
  });

  it('leaves the table of the processor as it is', () => {
    const { table, functions } = tableOn('cpu');
    const before = { ...functions };
    announceFallbacks(table);
    expect(functions).toEqual(before);
  });
});
