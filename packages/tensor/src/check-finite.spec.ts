import { loadNative } from '@agentforge/native';
import { CHECK_FINITE_VARIABLE, isFiniteChecked, noteStepsTaken, trapNotFinite } from './check-finite.js';

const addon = loadNative();

/** The function with the trap on it. */
function trapped(name: keyof typeof addon): (...args: unknown[]) => unknown {
  return trapNotFinite(addon, name, addon[name] as (...args: unknown[]) => unknown);
}

function vector(...elements: number[]): number {
  const handle = addon.alloc(0, [elements.length]);
  addon.write(handle, Float32Array.from(elements));
  return handle;
}

describe('trapNotFinite()', () => {
  afterEach(() => {
    noteStepsTaken(0);
  });

  it('names the op, the training step, the value and where it is, and frees what was made', () => {
    const x = vector(1, -1, 4, -2);
    noteStepsTaken(11);
    const before = addon.memoryStats().liveBytes;
    expect(() => trapped('sqrt')(x)).toThrow(
      'sqrt: NaN at element 1, and 1 more, of [4] in training step 12 (FORGE_CHECK_FINITE is on)',
    );
    expect(addon.memoryStats().liveBytes).toBe(before);
  });

  it.each<[keyof typeof addon, unknown[], string]>([
    ['axpy', [vector(3e38, 0), 2, vector(3e38, 0)], 'axpy: Infinity at element 0 of [2]'],
    ['scaleInPlace', [vector(1, 3e38), -10], 'scaleInPlace: -Infinity at element 1 of [2]'],
    ['sumSquares', [[vector(Number.POSITIVE_INFINITY)]], 'sumSquares: Infinity in training step 1'],
    [
      'adamw',
      [vector(1), vector(Number.NaN), vector(0), vector(0), 0.1, 0.9, 0.999, 1e-8, 0, 1, 1],
      'adamw: NaN',
    ],
  ])('looks at what %s changes', (name, args, message) => {
    expect(() => trapped(name)(...args)).toThrow(message);
  });

  it('keeps a tensor that the caller made', () => {
    const out = vector(0);
    const huge = addon.view(vector(3e38), 0, [1, 1]);
    expect(() => trapped('matmul')(huge, huge, false, false, addon.view(out, 0, [1, 1]), 0)).toThrow(
      'matmul: Infinity',
    );
    expect(addon.item(out)).toBe(Number.POSITIVE_INFINITY);
  });

  it('lets finite results, indices, and moves of what was there pass', () => {
    const x = vector(1, Number.NaN);
    expect(addon.item(trapped('argmax')(vector(1, 2)) as number)).toBe(1);
    expect(addon.shapeOf(trapped('view')(x, 1, [1]) as number)).toEqual([1]);
    expect(addon.item(trapped('mul')(vector(2), vector(3)) as number)).toBe(6);
  });
});

describe('isFiniteChecked()', () => {
  const before = process.env[CHECK_FINITE_VARIABLE];
  afterEach(() => {
    delete process.env[CHECK_FINITE_VARIABLE];
    if (before !== undefined) process.env[CHECK_FINITE_VARIABLE] = before;
  });

  it.each([
    [undefined, false],
    ['0', false],
    ['1', true],
    ['true', true],
  ])('is %s -> %s', (value, expected) => {
    delete process.env[CHECK_FINITE_VARIABLE];
    if (value !== undefined) process.env[CHECK_FINITE_VARIABLE] = value;
    expect(isFiniteChecked()).toBe(expected);
  });
});
