import { documentOf, lineOf, tableOf } from './report.mjs';
import { judged } from './targets.mjs';

describe('judged()', () => {
  it('compares what should be small with its limit, and with what others publish', () => {
    const figure = { name: 'step overhead, engine p50', unit: 'ms' };
    expect(judged({ ...figure, value: 9.5 })).toMatchObject({
      target: 10,
      met: true,
      referenceValue: 76,
      ratio: 8,
    });
    expect(judged({ ...figure, value: 19 })).toMatchObject({ target: 10, met: false, ratio: 4 });
  });

  it('compares what should be large with its least', () => {
    const figure = { name: 'steps per second', unit: '/s' };
    expect(judged({ ...figure, value: 600 })).toMatchObject({ target: 500, met: true, ratio: 10 });
    expect(judged({ ...figure, value: 480 })).toMatchObject({ target: 500, met: false, ratio: 8 });
  });

  it('judges only the shape that the target is about', () => {
    const figure = { name: 'unary RPC p99', unit: 'ms', value: 51 };
    expect(judged({ ...figure, shape: 'GetRun, 1,000 req/s' })).toMatchObject({ target: 50, met: false });
    expect(judged({ ...figure, shape: 'GetRun, 5,000 req/s' })).toMatchObject({
      target: null,
      met: null,
      ratio: null,
    });
  });

  it.each([
    ['start with finished runs', '2,000 runs on record, orchestrator', 's', 5],
    ['start with finished runs', '100,000 runs on record, pipeline-controller', 's', 5],
    ['commit to watcher p99', '100 watchers, 200 events each', 'ms', 50],
    ['memory of a step, orchestrator', '10,000 steps, just ended', 'KiB', 4],
    ['page of 1000 steps, slowest', '10,000 steps, 10 pages', 'ms', 300],
  ])('judges what the usual run measures: %s, %s', (name, shape, unit, most) => {
    expect(judged({ name, shape, unit, value: most })).toMatchObject({ target: most, met: true });
    expect(judged({ name, shape, unit, value: most * 1.01 })).toMatchObject({ target: most, met: false });
  });

  it.each([
    ['commit to watcher p99', '10 watchers, 200 events each'],
    ['commit to watcher p50', '100 watchers, 200 events each'],
    ['memory of a step, orchestrator', '100 steps, just ended'],
  ])('does not judge other shapes: %s, %s', (name, shape) => {
    expect(judged({ name, shape, unit: 'ms', value: 1e6 })).toMatchObject({ target: null, met: null });
  });

  it('has the fields that are documented, in that order', () => {
    expect(Object.keys(judged({ name: 'anything', value: 1, unit: 's' }))).toEqual([
      'name',
      'shape',
      'value',
      'unit',
      'reference',
      'referenceValue',
      'ratio',
      'target',
      'met',
      'bound',
    ]);
  });
});

describe('report', () => {
  const met = judged({ name: 'steps per second', shape: '64 runs', value: 1234.5, unit: '/s', bound: 'CPU' });
  const plain = judged({ name: 'CPU of a step', value: 0.12345, unit: 'ms' });

  it('prints a line per figure, with its verdict', () => {
    expect(lineOf(met)).toMatch(
      /^steps per second +64 runs +1,235 \/s +20\.6 x Hatchet.* \(target 500: met\)$/,
    );
    expect(lineOf(plain)).toMatch(/^CPU of a step +0\.123 ms$/);
  });

  it('writes JSON that can be read back', () => {
    expect(JSON.parse(documentOf({ cpu: 'x' }, [met]))).toEqual({ machine: { cpu: 'x' }, figures: [met] });
  });

  it('writes a table with every figure and what bounds it', () => {
    const lines = tableOf([met, plain]).split('\n');
    expect(lines[2]).toBe('| steps per second | 64 runs | 1,235 /s | 500: met | CPU |');
    expect(lines[3]).toBe('| CPU of a step |  | 0.123 ms | – |  |');
  });
});
