/**
 * A process that computes on `cuda` through the addon, beside one on the processor: a bigram model learns the same, what
 * the device lacks runs on the processor, counted, or is refused by name, and a process keeps its device. The device is the
 * emulation, with all its kernels, and `bare`, with none.
 *
 *   node addon.cjs <forge.node> <libforge_cuda_emulated.so>
 */
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { callAll } = require('./ops.cjs');

const [addon, library, device] = process.argv.slice(2);
const F32 = 0;
const I32 = 1;

/** Losses of a few steps: next token from the current one, through an embedding and a product. */
function train(native) {
  const vocabulary = 11;
  const width = 6;
  const ids = Int32Array.from({ length: 40 }, (_, i) => (i * i + 3 * i) % vocabulary);
  const tensor = (dtype, shape, data) => {
    const h = native.alloc(dtype, shape);
    native.write(h, data);
    return h;
  };
  const input = tensor(I32, [39], ids.subarray(0, 39));
  const target = tensor(I32, [39], ids.subarray(1));
  const parameters = [
    [vocabulary, width],
    [width, vocabulary],
  ].map((shape, i) => {
    const value = native.alloc(F32, shape);
    native.philoxUniform(value, 1, 2, 100 * i, 0);
    return {
      value,
      grad: native.full(F32, shape, 0),
      m: native.full(F32, shape, 0),
      v: native.full(F32, shape, 0),
    };
  });
  const [embed, head] = parameters;
  const losses = [];
  for (let step = 1; step <= 8; step += 1) {
    const before = native.memoryStats().liveTensors;
    const x = native.embedding(embed.value, input);
    const logits = native.matmul(x, head.value, false, false, null, 0);
    const [loss, lse] = native.crossEntropy(logits, target, -1);
    const mean = native.mean(loss, -1);
    losses.push(native.item(mean));
    const dLogits = native.crossEntropyBackward(logits, target, lse, null, 1 / 39, -1, true);
    native.matmul(x, dLogits, true, false, head.grad, 0);
    const dX = native.matmul(dLogits, head.value, false, true, null, 0);
    native.scaleInPlace(embed.grad, 0);
    native.embeddingBackward(dX, input, embed.grad);
    assert.ok(native.isFinite([embed.grad, head.grad]));
    for (const { value, grad, m, v } of parameters)
      native.adamw(value, grad, m, v, 0.05, 0.9, 0.99, 1e-8, 0, step, 1);
    for (const h of [x, logits, loss, lse, mean, dX]) native.free(h);
    assert.equal(native.memoryStats().liveTensors, before);
  }
  return losses;
}

/** The code of what f throws. */
function codeOf(f) {
  try {
    f();
  } catch (error) {
    return error.code;
  }
  return 'nothing';
}

function checkDevice(native) {
  assert.deepEqual(native.deviceProbe('cuda'), []);
  const early = native.full(F32, [2], 1);
  assert.equal(
    codeOf(() => native.init({ device: 'cuda' })),
    'ARGUMENT',
    'tensors stay where they are',
  );
  native.free(early);
  native.init({ device: 'cuda' });
  assert.equal(
    codeOf(() => native.init({ device: 'cpu' })),
    'ARGUMENT',
    'a process has one device',
  );
  const { device, gpu } = native.backendInfo();
  assert.equal(device, 'cuda');
  assert.equal(gpu.name, 'CUDA kernels on the processor');
  assert.ok(native.supportsOp('attention'));
  const data = Float32Array.of(1, -2, 3);
  const x = native.full(F32, [3], 0);
  native.write(x, data);
  assert.deepEqual(native.read(x), data);
  // A bad index is told by the next call that waits, with the op that was given it; nothing waits for it.
  const y = native.gatherRows(x, native.full(I32, [1], 7));
  const outside = { code: 'ARGUMENT', message: 'gatherRows: index 7 at position 0, needs 0 to 2' };
  assert.throws(() => native.read(y), outside);
  assert.deepEqual(native.read(x), data);
  checkCapture(native, x, outside);
  checkRefusal(native, x);
}

/** A step is recorded and replayed with other numbers; what it cannot hold is refused by the op's name. */
function checkCapture(native, x, outside) {
  assert.equal(native.backendInfo().captures, true);
  const index = native.full(I32, [2], 0);
  native.beginCapture();
  const y = native.gatherRows(x, index);
  const z = native.mulScalar(y, 2);
  const refused = (op, ...args) =>
    assert.throws(() => native[op](...args), {
      code: 'UNSUPPORTED',
      message: new RegExp(`^${op}: cannot be part of`),
    });
  refused('read', z);
  refused('write', z, Float32Array.of(1));
  refused('sumSquares', [z]);
  refused('svd', x);
  assert.equal(
    codeOf(() => native.replayCapture(1)),
    'HANDLE',
  );
  const step = native.endCapture();
  native.free(y);
  for (const [i, j] of [
    [0, 1],
    [2, 2],
  ]) {
    native.write(index, Int32Array.of(i, j));
    native.replayCapture(step);
    native.free(native.full(F32, [2], Number.NaN));
    const elements = [1, -2, 3];
    assert.deepEqual(native.read(z), Float32Array.of(2 * elements[i], 2 * elements[j]));
  }
  native.write(index, Int32Array.of(7, 0));
  native.replayCapture(step);
  assert.throws(() => native.read(z), outside);
  native.freeCapture(step);
  assert.equal(
    codeOf(() => native.replayCapture(step)),
    'HANDLE',
  );
  native.beginCapture();
  native.abortCapture();
  assert.deepEqual(native.read(x), Float32Array.of(1, -2, 3));
  for (const h of [index, z]) native.free(h);
}

/** Refused: every op that the device lacks, by name; a wrong setting is told. */
function checkRefusal(native, x) {
  assert.equal(native.backendInfo().fallback, 'cpu');
  assert.throws(() => native.init({ fallback: 'perhaps' }), { code: 'ARGUMENT', message: /'perhaps'/ });
  native.init({ fallback: 'refuse' });
  assert.equal(native.backendInfo().fallback, 'refuse');
  for (const name of Object.keys(native).filter((op) => !native.supportsOp(op))) {
    assert.throws(() => native[name](x), {
      code: 'UNSUPPORTED',
      message: `${name}: device cuda has no such op; device cpu has`,
    });
  }
  native.init({ fallback: 'cpu' });
  process.env.FORGE_CUDA_FALLBACK = 'refuse';
  native.init({});
  assert.equal(native.backendInfo().fallback, 'refuse');
  process.env.FORGE_CUDA_FALLBACK = '1';
  assert.throws(() => native.init({}), { code: 'ARGUMENT', message: /FORGE_CUDA_FALLBACK '1'/ });
  native.init({ fallback: 'cpu' });
  delete process.env.FORGE_CUDA_FALLBACK;
  assert.deepEqual(native.fallbacks(), {});
}

/** What an op that falls back refuses, it refuses with the processor's words, and nothing changes or counts. */
function checkBare(native) {
  const before = native.memoryStats().liveTensors;
  const x = native.alloc(F32, [3]);
  native.write(x, Float32Array.of(1, -2, 3));
  assert.equal(
    codeOf(() => native.axpy(x, 1, native.alloc(F32, [2]))),
    'SHAPE',
  );
  assert.deepEqual(native.read(x), Float32Array.of(1, -2, 3));
  assert.equal(
    codeOf(() => native.neg(-1)),
    'HANDLE',
  );
  assert.deepEqual(native.fallbacks(), {});
  assert.equal(native.memoryStats().liveTensors, before + 2);
}

if (device === undefined) {
  const run = (on) =>
    JSON.parse(
      execFileSync(process.execPath, [__filename, addon, library, on], {
        env: {
          ...process.env,
          FORGE_CUDA_LIBRARY: library,
          ...(on === 'bare' && { FORGE_EMULATION: 'bare' }),
        },
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      }),
    );
  const runs = { cuda: run('cuda'), cpu: run('cpu'), bare: run('bare') };
  const [cuda, cpu] = [runs.cuda.losses, runs.cpu.losses];
  assert.deepEqual(runs.bare.losses, cpu, 'what runs on the processor gives its bytes');
  assert.deepEqual(runs.cpu.lacking, []);
  for (const { lacking, left, counted } of [runs.cuda, runs.bare]) {
    for (const op of lacking) assert.deepEqual(left[op], runs.cpu.left[op], op);
    assert.deepEqual(
      Object.keys(counted).sort(),
      lacking.sort(),
      'every op that ran on the processor is counted',
    );
  }
  assert.equal(runs.bare.lacking.length, Object.keys(runs.bare.left).length);
  assert.ok(cpu.at(-1) < 0.9 * cpu[0], 'it learns');
  for (const [i, loss] of cuda.entries()) {
    assert.ok(Math.abs(loss - cpu[i]) < 1e-4, `step ${i + 1}: ${loss} on cuda, ${cpu[i]} on cpu`);
  }
  console.log(
    `loss ${cpu[0].toFixed(4)} -> ${cpu.at(-1).toFixed(4)} on both; ${runs.cuda.lacking.length} ops lack kernels and ran on the processor`,
  );
} else {
  const native = require(addon);
  if (device === 'cuda') checkDevice(native);
  if (device === 'bare') {
    native.init({ device: 'cuda' });
    checkBare(native);
  }
  const left = callAll(native);
  const counted = native.fallbacks();
  const lacking = Object.keys(left).filter((op) => !native.supportsOp(op));
  console.log(JSON.stringify({ losses: train(native), left, counted, lacking }));
}
