import {
  attention,
  autocast,
  backward,
  linear,
  matmul,
  mul,
  Philox,
  parameter,
  sum,
  tensor,
  uniform,
} from './index.js';

/** x rounded to bf16, ties to even. */
function rounded(x: number): number {
  const bits = new Uint32Array(Float32Array.of(x).buffer);
  bits[0] = ((bits[0] as number) + 0x7fff + (((bits[0] as number) >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0] as number;
}

const bf16 = (data: Float32Array, shape: readonly number[]) => tensor(data.map(rounded), shape);
const stream = new Philox(3);
const a = uniform(stream, [5, 7], -1, 1).keep();
const b = uniform(stream, [7, 3], -1, 1).keep();

describe('autocast()', () => {
  it('rounds the operands of dense products to bf16, and sums in f32', () => {
    const product = autocast('bf16', () => matmul(a, b)).toFloat32Array();
    const expected = matmul(bf16(a.toFloat32Array(), [5, 7]), bf16(b.toFloat32Array(), [7, 3]));
    expected.toFloat32Array().forEach((value, i) => {
      expect(product[i]).toBeCloseTo(value, 5);
    });
    expect(product).not.toEqual(matmul(a, b).toFloat32Array());
  });

  it('rounds in the backward pass too, wherever it runs, and gradients are f32', () => {
    const weight = parameter(uniform(stream, [3, 7], -1, 1));
    const scale = uniform(stream, [5, 3], -1, 1);
    const product = autocast('bf16', () => linear(a, weight));
    backward(sum(mul(product, scale)));
    const exact = matmul(bf16(scale.toFloat32Array(), [5, 3]), bf16(a.toFloat32Array(), [5, 7]), {
      transA: true,
    });
    exact.toFloat32Array().forEach((value, i) => {
      expect(weight.grad?.toFloat32Array()[i]).toBeCloseTo(value, 5);
    });
    expect(weight.grad?.dtype).toBe('f32');
  });

  it('leaves attention f32 on the processor', () => {
    const [q, k] = [uniform(stream, [1, 6, 2, 8]), uniform(stream, [1, 6, 1, 8])];
    const plain = attention(q, k, k).toFloat32Array();
    expect(autocast('bf16', () => attention(q, k, k)).toFloat32Array()).toEqual(plain);
  });

  it('ends with its function, also by an error, and nests', () => {
    const plain = matmul(a, b).toFloat32Array();
    const fail = () =>
      autocast('bf16', () => {
        throw new Error('stop');
      });
    expect(fail).toThrow('stop');
    expect(matmul(a, b).toFloat32Array()).toEqual(plain);
    const inner = autocast('bf16', () => autocast('f32', () => matmul(a, b))).toFloat32Array();
    expect(inner).toEqual(plain);
    expect(sum(a).item()).toBe(autocast('bf16', () => sum(a)).item());
  });
});
