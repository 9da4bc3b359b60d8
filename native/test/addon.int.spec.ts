import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import {
  DTYPES,
  isNativeError,
  loadNative,
  type NativeError,
  NativeLoadError,
  ROPE_PAIRINGS,
  STORED_WEIGHTS,
} from '../src/index.js';

const native = loadNative();
const path = fileURLToPath(new URL('../build/forge.node', import.meta.url));

/** The native error that f throws. */
function errorOf(f: () => unknown): NativeError {
  try {
    f();
  } catch (error) {
    if (isNativeError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function tensor(shape: number[], values: number[]): number {
  const h = native.alloc(DTYPES.f32, shape);
  native.write(h, Float32Array.from(values));
  return h;
}

describe('loadNative()', () => {
  it('lists every path it tried, the cause and the fix', () => {
    expect(() => loadNative(['./nowhere.node'])).toThrow(NativeLoadError);
    expect(() => loadNative(['./nowhere.node', './missing.node'])).toThrow(
      /nowhere\.node.*missing\.node.*build\.mjs/s,
    );
  });

  it('says what computes', () => {
    const info = native.backendInfo();
    expect(info.device).toBe('cpu');
    expect(['avx512bf16', 'avx512vnni', 'avx512', 'avx2', 'portable']).toContain(info.isa);
    expect(info.threads).toBeGreaterThanOrEqual(1);
  });

  it('says which functions the device runs: on the processor all', () => {
    const names = Object.keys(native);
    expect(names.filter((name) => !native.supportsOp(name))).toEqual([]);
    expect(native.supportsOp('fourierTransform')).toBe(false);
    expect(errorOf(() => native.supportsOp(1 as unknown as string)).code).toBe('ARGUMENT');
  });
});

describe('devices', () => {
  it('a name that is none is refused', () => {
    expect(errorOf(() => native.deviceProbe('tpu' as 'cuda')).message).toContain(
      "'tpu' is neither cpu nor cuda",
    );
    expect(errorOf(() => native.init({ device: 'tpu' as 'cuda' })).code).toBe('ARGUMENT');
    expect(errorOf(() => native.init({ device: 3 as unknown as 'cuda' })).code).toBe('ARGUMENT');
  });

  it('the processor is always there', () => {
    expect(native.deviceProbe('cpu')).toEqual([]);
    expect(() => native.init({ device: 'cpu' })).not.toThrow();
    expect(native.backendInfo()).toMatchObject({ device: 'cpu', gpu: null, blas: 'builtin' });
  });

  it('one that cannot be used says every path tried, the cause and what to do; the processor stays', () => {
    const script = `
      const native = require(process.argv[1]);
      const probe = native.deviceProbe('cuda');
      try { native.init({ device: 'cuda' }); } catch (error) { console.log(JSON.stringify([probe, error.code, error.message, native.backendInfo().device])); }
    `;
    const env = { ...process.env, FORGE_CUDA_LIBRARY: '/nowhere/libforge_cuda.so' };
    const [probe, code, message, device] = JSON.parse(
      execFileSync(process.execPath, ['-e', script, path], { encoding: 'utf8', env }),
    );
    expect(probe).toEqual([
      { path: '/nowhere/libforge_cuda.so', cause: expect.stringContaining('no such file') },
    ]);
    expect([code, device]).toEqual(['DEVICE', 'cpu']);
    expect(message).toMatch(/device cuda cannot be used. Tried:\n.*libforge_cuda\.so: no such file; .*nvcc/s);
  });
});

describe('the thread count', () => {
  it('is still open after backendInfo() told what it would be', () => {
    const script = `
      const native = require(process.argv[1]);
      const planned = native.backendInfo().threads;
      native.init({ threads: planned + 1 });
      console.log(JSON.stringify([planned, native.backendInfo().threads]));
    `;
    const [planned, taken] = JSON.parse(
      execFileSync(process.execPath, ['-e', script, path], { encoding: 'utf8' }),
    );
    expect(taken).toBe(planned + 1);
  });
});

describe('elements', () => {
  it.each([
    [DTYPES.f32, Float32Array.of(1.5, -2, 3)],
    [DTYPES.i32, Int32Array.of(1, -2, 3)],
    [DTYPES.bf16, Uint16Array.of(0x3f80, 0, 0xbf80)],
    [DTYPES.f64, Float64Array.of(0.1, 0.2, 0.3)],
    [DTYPES.u8, Uint8Array.of(1, 2, 255)],
  ])('of dtype %d come back as they went in', (dtype, data) => {
    const h = native.alloc(dtype, [3]);
    native.write(h, data);
    expect(Array.from(native.read(h))).toEqual(Array.from(data));
    expect(native.dtypeOf(h)).toBe(dtype);
    expect(native.shapeOf(h)).toEqual([3]);
    native.free(h);
  });

  it('are written from an offset and read into an array of the same length', () => {
    const h = native.full(DTYPES.f32, [4], 7);
    native.write(h, Float32Array.of(1, 2), 2);
    const out = new Float32Array(4);
    native.readInto(h, out);
    expect(Array.from(out)).toEqual([7, 7, 1, 2]);
    expect(errorOf(() => native.readInto(h, new Float32Array(3))).code).toBe('SHAPE');
    expect(errorOf(() => native.write(h, Float32Array.of(1, 2), 3)).code).toBe('SHAPE');
    expect(errorOf(() => native.write(h, Float32Array.of(1), -1)).code).toBe('ARGUMENT');
    expect(errorOf(() => native.write(h, Int32Array.of(1))).code).toBe('DTYPE');
    expect(errorOf(() => native.item(h)).code).toBe('SHAPE');
    expect(native.item(native.view(h, 3, [1]))).toBe(2);
    native.free(h);
  });

  it('come from files as weights are stored, and go back', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'weights-')), 'file');
    const halves = Uint16Array.of(0x5555, 0x3f80, 0xc000, 0x3eab);
    writeFileSync(path, new Uint8Array(halves.buffer));
    const file = openSync(path, 'r');
    native.prefetchFile(file, 0, 8);
    const h = native.readWeights(file, 2, STORED_WEIGHTS.BF16, [3]);
    expect(Array.from(native.read(h))).toEqual([1, -2, 0.333984375]);
    const bytes = new Uint8Array(4);
    native.encodeWeights(h, STORED_WEIGHTS.F16, 1, bytes);
    expect([...new Uint16Array(bytes.buffer)]).toEqual([0xc000, 0x3558]);
    expect(errorOf(() => native.encodeWeights(h, STORED_WEIGHTS.F16, 2, bytes)).code).toBe('SHAPE');
    const short = errorOf(() => native.readWeights(file, 2, STORED_WEIGHTS.F32, [3]));
    expect([short.code, short.message]).toEqual([
      'ARGUMENT',
      'readWeights: 3 elements from byte 2: the file ends before',
    ]);
    closeSync(file);
    rmSync(path);
    native.free(h);
  });

  it('of an empty tensor are none', () => {
    const h = native.alloc(DTYPES.f32, [0, 3]);
    expect(native.read(h)).toHaveLength(0);
    expect(
      native.read(native.matmul(h, native.full(DTYPES.f32, [3, 2], 1), false, false, null, 0)),
    ).toHaveLength(0);
  });
});

describe('handles', () => {
  it('are refused after free', () => {
    const h = native.full(DTYPES.f32, [2], 1);
    native.free(h);
    expect(errorOf(() => native.free(h)).code).toBe('HANDLE');
    expect(errorOf(() => native.add(h, h)).code).toBe('HANDLE');
    const reused = native.full(DTYPES.f32, [2], 1);
    expect(reused).not.toBe(h);
    expect(errorOf(() => native.read(h)).code).toBe('HANDLE');
  });

  it.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1e300])('refuse %p', (bad) => {
    expect(errorOf(() => native.neg(bad)).code).toBe('HANDLE');
  });

  it.each([undefined, null, 'text', {}, []])('refuse %p', (bad) => {
    expect(errorOf(() => native.neg(bad as unknown as number)).code).toBe('ARGUMENT');
  });

  it('of another thread are refused, and its tensors go with it', async () => {
    const mine = native.full(DTYPES.f32, [1000], 1);
    const before = native.memoryStats();
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       const native = require(workerData.path);
       for (let i = 0; i < 10; i++) native.full(0, [1000], i);
       try { native.neg(workerData.mine); parentPort.postMessage('accepted'); }
       catch (error) { parentPort.postMessage(error.code); }`,
      { eval: true, workerData: { path, mine } },
    );
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    expect(await new Promise((resolve) => worker.once('message', resolve))).toBe('HANDLE');
    await ended;
    // Less, when what an earlier file of this process left behind was collected meanwhile.
    expect(native.memoryStats().liveBytes).toBeLessThanOrEqual(before.liveBytes);
    expect(native.memoryStats().liveTensors).toBeLessThanOrEqual(before.liveTensors);
    native.free(mine);
  });
});

describe('bad arguments', () => {
  it('name the op and both shapes', () => {
    const a = tensor([2, 3], [1, 2, 3, 4, 5, 6]);
    const b = tensor([4], [1, 2, 3, 4]);
    const error = errorOf(() => native.add(a, b));
    expect(error.code).toBe('SHAPE');
    expect(error.message).toMatch(/add.*\[4\].*\[2, 3\]/);
    expect(errorOf(() => native.matmul(a, a, false, false, null, 0)).message).toMatch(
      /matmul.*\[2, 3\].*\[2, 3\]/,
    );
    expect(errorOf(() => native.rmsNorm(a, b, 1e-5)).message).toMatch(/rmsNorm.*\[4\].*\[2, 3\]/);
  });

  it.each([
    ['a negative length', [-1], 'SHAPE'],
    ['a product that overflows', [2 ** 30, 2 ** 30, 2 ** 30], 'SHAPE'],
    ['a length above 2^53', [2 ** 60], 'ARGUMENT'],
    ['a fraction', [1.5], 'ARGUMENT'],
    ['seven axes', [1, 1, 1, 1, 1, 1, 1], 'ARGUMENT'],
    ['text', ['2'], 'ARGUMENT'],
    ['no array', 3, 'ARGUMENT'],
  ])('alloc refuses %s', (_, shape, code) => {
    expect(errorOf(() => native.alloc(DTYPES.f32, shape as number[])).code).toBe(code);
  });

  it('are refused before anything changes', () => {
    const table = tensor([2, 2], [1, 2, 3, 4]);
    const ids = native.alloc(DTYPES.i32, [2]);
    native.write(ids, Int32Array.of(0, 2));
    const rows = tensor([2, 2], [1, 1, 1, 1]);
    expect(errorOf(() => native.embeddingBackward(rows, ids, table)).code).toBe('ARGUMENT');
    expect(Array.from(native.read(table))).toEqual([1, 2, 3, 4]);
    expect(errorOf(() => native.embedding(table, rows)).code).toBe('DTYPE');
    expect(errorOf(() => native.rope(rows, 0, 1e4, [], ROPE_PAIRINGS.NEOX, false)).code).toBe('SHAPE');
    expect(errorOf(() => native.init({ threads: 0 })).code).toBe('ARGUMENT');
    expect(errorOf(() => native.init({ threads: native.backendInfo().threads + 1 })).message).toMatch(
      /already has/,
    );
  });

  it('out of memory is an error with sizes, and the process goes on', () => {
    const { maxBytes, liveBytes } = native.memoryStats();
    // What is cached is given out again, whatever the limit.
    native.emptyCache();
    native.init({ maxBytes: liveBytes + 1_000_000 });
    let error: NativeError;
    try {
      error = errorOf(() => native.alloc(DTYPES.f32, [1_000_000]));
    } finally {
      native.init({ maxBytes });
    }
    expect(error.code).toBe('OOM');
    expect(error.message).toMatch(/4000000 bytes asked for, \d+ live, \d+ cached, limit \d+/);
    native.free(native.alloc(DTYPES.f32, [1_000_000]));
  });
});

describe('memoryStats()', () => {
  it('follows tensors, views and the peak', () => {
    native.resetPeak();
    const before = native.memoryStats();
    const h = native.alloc(DTYPES.f32, [1000]);
    const view = native.view(h, 0, [10]);
    expect(native.memoryStats().liveTensors).toBe(before.liveTensors + 2);
    const used = native.memoryStats().liveBytes - before.liveBytes;
    expect(used).toBeGreaterThanOrEqual(4000);
    native.free(h);
    expect(native.memoryStats().liveBytes).toBe(before.liveBytes + used);
    native.free(view);
    expect(native.memoryStats().liveBytes).toBe(before.liveBytes);
    expect(native.memoryStats().peakBytes).toBe(before.liveBytes + used);
    native.emptyCache();
    expect(native.memoryStats().cachedBytes).toBe(0);
  });
});

describe('destinations', () => {
  it('matmul accumulates into out and returns it', () => {
    const a = tensor([1, 2], [1, 2]);
    const b = tensor([2, 1], [3, 4]);
    const out = tensor([1, 1], [100]);
    expect(native.matmul(a, b, false, false, out, 1)).toBe(out);
    expect(native.item(out)).toBe(111);
  });

  it('crossEntropyBackward in place returns the logits', () => {
    const logits = tensor([1, 2], [0, 0]);
    const targets = native.full(DTYPES.i32, [1], 1);
    const [loss, lse] = native.crossEntropy(logits, targets, -1);
    expect(native.item(loss)).toBeCloseTo(Math.log(2), 6);
    expect(native.crossEntropyBackward(logits, targets, lse, null, 1, -1, true)).toBe(logits);
    expect(Array.from(native.read(logits))).toEqual([0.5, -0.5]);
  });
});

describe('determinism', () => {
  it('the same bytes with 1, 2 and 3 threads', () => {
    const program = `
      const n = require(${JSON.stringify(path)});
      const hash = require('node:crypto').createHash('sha256');
      const put = (h) => hash.update(n.read(h));
      const random = (shape, seed) => { const h = n.alloc(0, shape); n.philoxNormal(h, seed, 0, 0, 0, 0, 1); return h; };
      const x = random([300, 200], 1), w = random([150, 200], 2), gain = random([200], 3), dGain = n.full(0, [200], 0);
      put(n.matmul(x, w, false, true, null, 0)); put(n.matmul(x, x, true, false, null, 0));
      const [y, rstd] = n.rmsNorm(x, gain, 1e-5); put(y);
      put(n.rmsNormBackward(y, x, gain, rstd, dGain)); put(dGain);
      const q = random([2, 90, 4, 32], 4), k = random([2, 90, 2, 32], 5);
      const [o, lse] = n.attention(q, k, k, true, 0, 0.2, -1, false); put(o);
      for (const d of n.attentionBackward(q, q, k, k, o, lse, true, 0, 0.2, false)) put(d);
      put(n.sum(x, -1)); put(n.sum(x, 0));
      hash.update(String(n.sumSquares([x, w])));
      if (n.backendInfo().threads !== Number(process.env.FORGE_THREADS)) throw new Error('wrong thread count');
      console.log(hash.digest('hex'));`;
    const digests = ['1', '2', '3'].map((threads) =>
      execFileSync(process.execPath, ['-e', program], {
        env: { ...process.env, FORGE_THREADS: threads },
        encoding: 'utf8',
      }),
    );
    expect(new Set(digests).size).toBe(1);
    expect(digests[0]).toMatch(/^[0-9a-f]{64}\n$/);
  });
});
