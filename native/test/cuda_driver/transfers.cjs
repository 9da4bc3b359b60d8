/**
 * Transfers of src/cuda/device.cc, longer than its staging memory, and what is said when the device has no room left.
 *
 *   FORGE_CUDA_LIBRARY=libforge_cuda_faked.so FAKE_FREE_BYTES=100000000 node transfers.cjs <forge.node>
 */
const assert = require('node:assert/strict');

const native = require(process.argv[2]);
const F32 = 0;
const MIB = 2 ** 20;

native.init({ device: 'cuda' });
assert.equal(native.backendInfo().device, 'cuda');

// Empty, short, one staging buffer to the byte, and several with an odd rest.
for (const length of [0, 1, MIB, MIB + 1, 5_000_003]) {
  const sent = Float32Array.from({ length }, (_, i) => i % 1_000_003);
  const tensor = native.alloc(F32, [length]);
  native.write(tensor, sent);
  assert.deepEqual(native.read(tensor), sent);
  native.free(tensor);
}

const held = native.alloc(F32, [10 * MIB]);
assert.throws(() => native.alloc(F32, [64 * MIB]), {
  code: 'OOM',
  message: /alloc: out of memory: 268435456 bytes asked for, \d+ live, \d+ cached, limit \d+ \(cuda\)/,
});
native.free(held);
assert.equal(native.read(native.full(F32, [3], 2)).join(), '2,2,2');
