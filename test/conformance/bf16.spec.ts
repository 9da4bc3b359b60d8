import { autocast, backward, linear, mul, parameter, scope, sum, type Tensor } from '@agentforge/tensor';
import { fill, own } from './operands.js';
import { build, type Dense } from './reference/dense.js';
import { zip } from './reference/elementwise.js';
import { matmul, toBf16 } from './reference/matmul.js';
import { TOLERANCES } from './tolerances.js';

const { abs, max } = Math;

/** x[N, I], weight[O, I]. */
const SIZES = { regular: [8, 16, 8], odd: [7, 5, 3], empty: [0, 5, 3], big: [65, 300, 129] } as const;

/** The gradients of a product of what was rounded: of the input, of the weight. */
function gradientsOf(x: Dense, weight: Dense, dy: Dense): [Dense, Dense] {
  const [a, b, d] = [x, weight, dy].map(toBf16) as [Dense, Dense, Dense];
  return [matmul(d, b), matmul(d, a, true)];
}

function worst(actual: Tensor, expected: Dense): number {
  expect([...actual.shape]).toEqual(expected.shape);
  const values = actual.toFloat32Array();
  const scale = expected.data.reduce((top, value) => max(top, abs(value)), 1);
  return expected.data.reduce((top, value, i) => max(top, abs((values[i] as number) - value) / scale), 0);
}

describe('gradients of a linear layer in bf16', () => {
  it.each(Object.entries(SIZES))('%s: round what they multiply, and add up in f32', (size, [n, i, o]) => {
    const [x, weight, ...dys] = [
      [n, i],
      [o, i],
      [n, o],
      [n, o],
    ].map((shape, at) => fill({ shape }, `bf16/${size}/${at}`)) as [Dense, Dense, Dense, Dense];
    const [a, b] = [x, weight].map((one) => parameter(own({ shape: one.shape }, one)).keep()) as [
      Tensor,
      Tensor,
    ];
    // The second time the product is added to the gradient that is there.
    for (const dy of dys) {
      scope(() => {
        const y = autocast('bf16', () => linear(a, b));
        backward(sum(mul(y, own({ shape: dy.shape }, dy))));
      });
    }
    const [first, second] = dys.map((dy) => gradientsOf(x, weight, dy)) as [[Dense, Dense], [Dense, Dense]];
    const allowed = TOLERANCES['linear in bf16']?.forward ?? -1;
    [a, b].forEach((one, at) => {
      const expected = zip(first[at] as Dense, second[at] as Dense, (p, q) => p + q);
      expect(worst(one.grad as Tensor, expected)).toBeLessThanOrEqual(allowed);
      one.dispose();
    });
  });

  it('rounds the reference to eight significant bits, ties to even', () => {
    const numbers = [1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, -1.999, 0, 3e-30];
    const rounded = [...toBf16(build([7], (i) => numbers[i] as number)).data];
    const of = (value: number): number => {
      const bits = new Uint32Array(Float32Array.of(value).buffer);
      const [word = 0] = bits;
      bits[0] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
      return new Float32Array(bits.buffer)[0] as number;
    };
    expect(rounded).toEqual(numbers.map(of));
  });
});
