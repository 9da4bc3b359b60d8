// The way from JavaScript into the compute core: one call, and the start of a process.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { DTYPES, loadNative } from '@agentforge/native';
import { addScalar, scope, selectDevice, tensor } from '@agentforge/tensor';
import { alone, median } from '../figures.mjs';

const CALLS = 5000;
const ROUNDS = 21;
const STARTS = 7;

export async function run({ threads, record }) {
  selectDevice('cpu', { threads });
  const perCall = (calls) => {
    const started = performance.now();
    calls();
    return (1000 * (performance.now() - started)) / CALLS;
  };
  const addon = loadNative();
  const one = addon.full(DTYPES.f32, [1], 1);
  const bare = () => {
    for (let i = 0; i < CALLS; i++) addon.free(addon.addScalar(one, 1));
  };
  const tensors = () =>
    scope(() => {
      let x = tensor([1]);
      for (let i = 0; i < CALLS; i++) x = addScalar(x, 1);
    });
  const medianOf = (calls) => median(Array.from({ length: ROUNDS }, () => perCall(calls)));
  record(alone({ name: 'op call from JavaScript', shape: 'addon, and free', unit: 'us' }, medianOf(bare)));
  record(alone({ name: 'op call on tensors', shape: 'in a scope', unit: 'us' }, medianOf(tensors)));
  addon.free(one);
  record(
    alone(
      { name: 'start-up', shape: 'node, first op', unit: 'ms' },
      startUp("const { ones } = await import('@agentforge/tensor'); ones([1]).item();"),
    ),
  );
  record(alone({ name: 'start-up', shape: 'node alone', unit: 'ms' }, startUp('')));
}

/** Median time of a Node process that runs a program. */
function startUp(program) {
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const times = Array.from({ length: STARTS }, () => {
    const started = performance.now();
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    return performance.now() - started;
  });
  return median(times);
}
