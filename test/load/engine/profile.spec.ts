import { functionOf, hotSpots, placeOf } from './profile.mjs';

const frame = (functionName: string, url = '') => ({ functionName, url });

describe('hotSpots()', () => {
  it('adds up the time of each package, and leaves out waiting', () => {
    const nodes = [
      { id: 1, callFrame: frame('(idle)') },
      {
        id: 2,
        callFrame: frame(
          'encode',
          'file:///w/node_modules/.pnpm/x@1/node_modules/@bufbuild/protobuf/dist/a.js',
        ),
      },
      {
        id: 3,
        callFrame: frame(
          'decode',
          'file:///w/node_modules/.pnpm/x@1/node_modules/@bufbuild/protobuf/dist/b.js',
        ),
      },
      { id: 4, callFrame: frame('decide', 'file:///w/services/orchestrator/dist/engine/decide.js') },
    ];
    const spots = hotSpots({
      nodes,
      samples: [1, 2, 3, 4, 1],
      timeDeltas: [9_000, 2_000, 1_000, 1_000, 500],
    });
    expect(spots).toEqual([
      { what: '@bufbuild/protobuf', ms: 3, share: 0.75 },
      { what: 'services/orchestrator', ms: 1, share: 0.25 },
    ]);
  });
});

describe('placeOf()', () => {
  it.each([
    [frame('(garbage collector)'), '(garbage collector)'],
    [frame('writeBuffer'), 'node (native)'],
    [frame('respond', 'node:internal/http2/core'), 'node:internal'],
    [frame('f', 'file:///a/node_modules/pino/lib/x.js'), 'pino'],
    [frame('f', 'file:///a/packages/events/dist/codec.js'), 'packages/events'],
    [frame('f', 'file:///elsewhere.js'), 'file:///elsewhere.js'],
  ])('%o is %s', (one, place) => {
    expect(placeOf(one)).toBe(place);
  });

  it('names functions with their place', () => {
    expect(functionOf(frame('', 'file:///a/packages/events/dist/codec.js'))).toBe(
      '(anonymous) in packages/events',
    );
  });
});
