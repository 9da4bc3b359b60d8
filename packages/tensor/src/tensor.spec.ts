import { AppError } from '@agentforge/errors';
import {
  ArgumentError,
  add,
  arange,
  attention,
  concat,
  copyInto,
  DtypeError,
  embedding,
  empty,
  FreedTensorError,
  full,
  matmul,
  mul,
  neg,
  ones,
  rmsNorm,
  ShapeError,
  type Tensor,
  tensor,
  zeros,
} from './index.js';

describe('tensor()', () => {
  it('takes its dtype from the data', () => {
    expect(tensor([1, 2]).dtype).toBe('f32');
    expect(tensor(Int32Array.of(1, 2)).dtype).toBe('i32');
    expect([...tensor([3, -7], [2, 1], { dtype: 'i32' }).toTypedArray()]).toEqual([3, -7]);
  });

  it('copies: later changes of the array do not show', () => {
    const data = Float32Array.of(1, 2);
    const x = tensor(data);
    data[0] = 9;
    expect([...x.toTypedArray()]).toEqual([1, 2]);
  });

  it.each([
    ['elements do not fill the shape', () => tensor([1, 2, 3], [2, 2]), ShapeError],
    ['a fraction as i32', () => tensor([1.5], [1], { dtype: 'i32' }), DtypeError],
    ['a negative axis', () => zeros([-1]), ArgumentError],
    ['seven axes', () => zeros([1, 1, 1, 1, 1, 1, 1]), ArgumentError],
    ['no axes', () => zeros([]), ArgumentError],
  ])('refuses %s', (_, make, error) => {
    expect(make).toThrow(error);
  });

  it('makes zeros, ones, constants, ranges and room', () => {
    expect([...zeros([2]).toTypedArray(), ...ones([1]).toTypedArray()]).toEqual([0, 0, 1]);
    expect([...full([2], 7, { dtype: 'i32' }).toTypedArray()]).toEqual([7, 7]);
    expect([...arange(3).toTypedArray()]).toEqual([0, 1, 2]);
    expect(empty([2, 3]).size).toBe(6);
  });
});

describe('Tensor', () => {
  it('reads into part of a larger array', () => {
    const target = new Float32Array(4);
    tensor([1, 2]).readInto(target, 1);
    expect([...target]).toEqual([0, 1, 2, 0]);
    expect(() => tensor([1, 2]).readInto(target, 3)).toThrow(ShapeError);
  });

  it('writes in place at an offset, and refuses to write past the end', () => {
    const x = zeros([4]);
    x.write(Float32Array.of(5, 6), 2);
    expect([...x.toTypedArray()]).toEqual([0, 0, 5, 6]);
    expect(() => x.write(Float32Array.of(1, 2), 3)).toThrow(AppError);
    expect([...x.toTypedArray()]).toEqual([0, 0, 5, 6]);
  });

  it('item() wants exactly one element', () => {
    expect(tensor([4]).item()).toBe(4);
    expect(() => tensor([4, 5]).item()).toThrow('item: [2] has 2 elements, not 1');
  });

  it('says what was freed, and by what it was used', () => {
    const x = tensor([1, 2]);
    x.dispose();
    x.dispose();
    expect(x.isFreed).toBe(true);
    expect(() => add(x, 1)).toThrow(FreedTensorError);
    expect(() => add(x, 1)).toThrow(/^addScalar: tensor f32\[2\] was freed/);
    expect(String(x)).toBe('Tensor(f32[2], freed)');
  });

  it('prints nested brackets and elides long axes', () => {
    expect(String(tensor([1, 2.5, 3, 4], [2, 2]))).toBe('Tensor(f32[2,2]\n[[1, 2.5],\n [3, 4]])');
    expect(String(arange(20))).toBe('Tensor(i32[20]\n[0, 1, 2, …, 17, 18, 19])');
    expect(
      String(
        tensor(
          Float32Array.from({ length: 30 }, (_, i) => i),
          [10, 3],
        ),
      ),
    ).toContain('…');
  });
});

describe('errors of operations', () => {
  const [f, i] = [(shape: number[]): Tensor => zeros(shape), (n: number): Tensor => arange(n)];

  it.each([
    ['matmul', () => matmul(f([2, 3]), f([4, 5])), ShapeError, /matmul.*\[2,3\] and \[4,5\]/],
    ['add', () => add(f([2, 3]), f([2])), ShapeError, /add: \[2,3\] and \[2\]/],
    ['rmsNorm', () => rmsNorm(f([2, 3]), f([4])), ShapeError, /rmsNorm: \[2,3\] and \[4\]/],
    ['dtype', () => add(i(2), f([2])), DtypeError, /^add: takes f32, got i32\[2\] beside f32\[2\]$/],
    ['dtype', () => mul(f([3, 2]), i(2)), DtypeError, /^mul: takes f32, got i32\[2\] beside f32\[3,2\]$/],
    [
      'dtype',
      () => matmul(f([3, 2]), i(2)),
      DtypeError,
      /^matmul: takes f32, got i32\[2\] beside f32\[3,2\]$/,
    ],
    [
      'dtype',
      () => embedding(f([3, 2]), f([2])),
      DtypeError,
      /^embedding: takes i32, got f32\[2\] beside f32\[3,2\]$/,
    ],
    [
      'dtype',
      () => attention(f([1, 1, 1, 2]), i(2), f([1, 1, 1, 2])),
      DtypeError,
      /^attention: takes f32, got i32\[2\] beside f32\[1,1,1,2\] and f32\[1,1,1,2\]$/,
    ],
    ['dtype', () => neg(i(2)), DtypeError, /^neg: takes f32, got i32\[2\]$/],
    [
      'dtype',
      () => concat([f([2]), i(3)], 0),
      DtypeError,
      /^concat: f32\[2\] and i32\[3\]: dtypes must be equal$/,
    ],
    [
      'concat',
      () => concat([f([2, 3]), f([2, 4])], 0),
      ShapeError,
      /^concat: \[2,3\] and \[2,4\]: all axes but 0/,
    ],
    [
      'dtype',
      () => copyInto(f([2]), i(3)),
      DtypeError,
      /^copyInto: f32\[2\] and i32\[3\]: dtypes must be equal$/,
    ],
    ['embedding', () => embedding(f([2, 3]), tensor(Int32Array.of(2))), ArgumentError, /2/],
  ])('%s names the operation, every shape, and dtypes where they are wrong', (_, run, type, message) => {
    expect(run).toThrow(type);
    expect(run).toThrow(message);
  });
});
