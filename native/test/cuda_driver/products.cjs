/**
 * Products of a device by a library that does what it should, or not: src/cuda/gemm_library.cc on plain loops.
 *
 *   FORGE_CUDA_LIBRARY=libforge_cuda_faked.so [FAKE_BLAS=…] node products.cjs <forge.node> <what backendInfo().blas says>
 */
const assert = require('node:assert/strict');

const native = require(process.argv[2]);
const F32 = 0;

native.init({ device: 'cuda' });
assert.equal(native.backendInfo().blas, process.argv[3]);

/** Nearest bf16, ties to even. */
const rounded = (value) => {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0] = ((bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) & 0xffff0000) >>> 0;
  return new Float32Array(bits.buffer)[0];
};

/** `from` chooses the numbers; they begin `offset` elements into their buffer. */
const tensor = (shape, from, offset) => {
  const values = Float32Array.from(
    { length: shape.reduce((a, b) => a * b, 1) },
    (_, i) => ((i * 37 + from) % 101) / 50 - 1,
  );
  const buffer = native.alloc(F32, [offset + values.length]);
  const made = native.view(buffer, offset, shape);
  native.write(made, values);
  return { made, values };
};

/** Element [product, row, column] of op(x), x of `rows` × `columns`. */
const reader = (x, rows, columns, transposed) => (product, i, j) =>
  x.values[product * rows * columns + (transposed ? j * columns + i : i * columns + j)];

/** One product beside its definition. */
function check(op, operand, batch, [m, n, k], [transA, transB, beta], offset) {
  const shape = (rows, columns) => (batch === 1 ? [rows, columns] : [batch, rows, columns]);
  const a = tensor(transA ? shape(k, m) : shape(m, k), 1, offset);
  const b = tensor(transB ? shape(n, k) : shape(k, n), 2, offset);
  const c = tensor(shape(m, n), 3, offset);
  const y = native[op](a.made, b.made, transA, transB, beta === 0 ? null : c.made, beta);
  const ofA = reader(a, transA ? k : m, transA ? m : k, transA);
  const ofB = reader(b, transB ? n : k, transB ? k : n, transB);
  native.read(y).forEach((got, at) => {
    const product = Math.floor(at / (m * n));
    const [i, j] = [Math.floor(at / n) % m, at % n];
    let expected = beta === 0 ? 0 : beta * c.values[at];
    for (let l = 0; l < k; l++) expected += operand(ofA(product, i, l)) * operand(ofB(product, l, j));
    const where = `${op} ${batch} of ${m}x${n}x${k} [${at}], ${offset} elements into a buffer`;
    assert.ok(Math.abs(got - expected) < 1e-5, `${where}: ${got}, expected ${expected}`);
  });
}

const SIZES = [
  [4, 8, 16],
  [5, 7, 9],
  [1, 33, 2],
  [6, 3, 0],
];
const LAYOUTS = [
  [false, false, 0],
  [false, true, 0.5],
  [true, false, 0],
  [true, true, 0.5],
];
// The second offset comes after the first: plans for what is aligned do not fit what is not.
for (const offset of [0, 1]) {
  for (const batch of [1, 3]) {
    for (const size of SIZES) {
      for (const layout of LAYOUTS) {
        check('matmul', (value) => value, batch, size, layout, offset);
        check('matmulBf16', rounded, batch, size, layout, offset);
      }
    }
  }
}
