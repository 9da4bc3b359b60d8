import {
  ArgumentError,
  argmax,
  crossEntropy,
  klDivergence,
  max as maximum,
  mean,
  noGrad,
  scope,
  sum,
  type Tensor,
  type TensorData,
  tensor,
} from '@agentforge/tensor';
import { fill, inside, own } from './operands.js';
import type { Operand, SizeName } from './operation.js';
import { OPERATIONS } from './operations.js';
import { keepTable, note } from './record.js';
import type { Dense } from './reference/dense.js';
import { TOLERANCES } from './tolerances.js';

// Taken out of Math once: looking a global up costs a microsecond inside jest's sandbox.
const { abs, max } = Math;

const rows = OPERATIONS.flatMap((operation) =>
  Object.entries(operation.sizes).map(([size, operands]) => ({
    name: [operation.op, operation.variant, size].filter(Boolean).join(', '),
    size: size as SizeName,
    operation,
    operands,
  })),
);

/** Largest difference relative to the largest expected magnitude, at least 1; NaN counts as infinite. */
function worstError(actual: ArrayLike<number>, expected: Dense): number {
  const scale = expected.data.reduce((top, value) => max(top, abs(value)), 1);
  let worst = 0;
  expected.data.forEach((value, i) => {
    const error = abs((actual[i] ?? Number.NaN) - value) / scale;
    if (!(error <= worst)) worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  });
  return worst;
}

function compute(
  row: (typeof rows)[number],
  values: readonly Dense[],
  place: (operand: Operand, values: Dense) => Tensor,
): { shape: readonly number[]; data: TensorData } {
  return scope(() =>
    noGrad(() => {
      const tensors = values.map((value, i) => place(row.operands[i] as Operand, value));
      const out = row.operation.run(...tensors);
      return { shape: out.shape, data: out.toTypedArray() };
    }),
  );
}

function bytes(data: TensorData): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

afterAll(() => keepTable('forward'));

describe('every op against its plain reference', () => {
  it('has one tolerance, with its reason, for each op', () => {
    const missing = OPERATIONS.filter(({ op }) => (TOLERANCES[op]?.reason.length ?? 0) < 10);
    expect(missing.map(({ op }) => op)).toEqual([]);
  });

  it.each(rows)('$name', (row) => {
    const values = row.operands.map((operand, i) => fill(operand, `${row.name}/${i}`));
    const expected = row.operation.reference(...values);
    const actual = compute(row, values, own);
    expect(actual.shape).toEqual(expected.shape);
    expect(actual.data).toHaveLength(expected.data.length);
    const error = worstError(actual.data, expected);
    const allowed = TOLERANCES[row.operation.op]?.forward ?? -1;
    note(row.operation, row.size, error, allowed);
    expect(error).toBeLessThanOrEqual(allowed);
  });

  it.each(rows)('$name: gives the same bytes for operands at an odd offset, and again', (row) => {
    const values = row.operands.map((operand, i) => fill(operand, `${row.name}/${i}`));
    const first = bytes(compute(row, values, own).data);
    expect(bytes(compute(row, values, own).data).equals(first)).toBe(true);
    expect(bytes(compute(row, values, inside).data).equals(first)).toBe(true);
  });
});

describe('what has no value over nothing', () => {
  const [nothing, noRows] = [tensor([], [3, 0]), tensor([], [0, 3])];
  const noTargets = tensor(new Int32Array(0), [0]);

  it.each([
    ['max of all', () => maximum(nothing)],
    ['max of empty rows', () => maximum(nothing, 1)],
    ['max of no rows', () => maximum(noRows, 0)],
    ['argmax of empty rows', () => argmax(nothing)],
  ])('is refused: %s', (_, compute) => {
    expect(compute).toThrow(ArgumentError);
  });

  it.each([
    ['mean of all', () => mean(nothing), [Number.NaN]],
    ['mean of empty rows', () => mean(nothing, 1), [Number.NaN, Number.NaN, Number.NaN]],
    ['mean cross-entropy of no rows', () => crossEntropy(noRows, noTargets), [Number.NaN]],
    ['mean divergence of no rows', () => klDivergence(noRows, noRows, { reduction: 'mean' }), [Number.NaN]],
    ['sum of all', () => sum(nothing), [0]],
    ['sum of empty rows', () => sum(nothing, 1), [0, 0, 0]],
  ])('is NaN, or 0 of a sum: %s', (_, compute, expected) => {
    scope(() => expect([...compute().toTypedArray()]).toEqual(expected));
  });
});
