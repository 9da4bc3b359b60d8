import { DTYPES, type Handle, type NativeAddon } from '@agentforge/native';
import { formatShape } from './dtype.js';
import { NotFiniteError } from './errors.js';

/** Environment variable that turns the trap on: 1 or true. */
export const CHECK_FINITE_VARIABLE = 'FORGE_CHECK_FINITE';

type FunctionName = keyof NativeAddon;

// Settings, memory and plain moves of elements: what they give was there before, or is not there yet.
const UNCHECKED: ReadonlySet<string> = new Set<FunctionName>([
  'init',
  'deviceProbe',
  'backendInfo',
  'supportsOp',
  'memoryStats',
  'fallbacks',
  'resetPeak',
  'emptyCache',
  'beginCapture',
  'endCapture',
  'abortCapture',
  'replayCapture',
  'freeCapture',
  'alloc',
  'full',
  'free',
  'view',
  'shapeOf',
  'dtypeOf',
  'read',
  'readInto',
  'write',
  'copy',
  'copyRows',
  'isFinite',
]);

// What returns a number and not a handle.
const SCALARS: ReadonlySet<string> = new Set<FunctionName>(['item', 'sumSquares', 'dot']);

// Positions of the arguments whose elements change.
const CHANGED: { readonly [name in FunctionName]?: readonly number[] } = {
  axpy: [0],
  scaleInPlace: [0],
  scaleBy: [0],
  scatterAddRows: [0],
  embeddingBackward: [2],
  rmsNormBackward: [4],
  biasActivationInPlace: [0],
  adamw: [0, 2, 3],
  adamwGrokfast: [0, 2, 3, 4],
  adamwPrepared: [0, 2, 3, 4],
  muon: [0, 2],
};

// The log-sum-exp of a query that sees no key is −∞ by definition.
const FIRST_RESULT_ONLY: ReadonlySet<string> = new Set<FunctionName>(['attention', 'rangedAttention']);

let stepsTaken = 0;

/** Tells the trap how many steps the optimizer has taken; what follows belongs to the next. @internal */
export function noteStepsTaken(steps: number): void {
  stepsTaken = steps;
}

/** Whether the environment asks for the trap. @internal */
export function isFiniteChecked(): boolean {
  return ['1', 'true'].includes(process.env[CHECK_FINITE_VARIABLE] ?? '');
}

/**
 * A native function that looks at every f32 and f64 element it made or changed. Costs a pass over memory per call, and waits
 * for the device: it cannot be part of a recording.
 * @throws NotFiniteError from the function returned: the op, the training step, the first element that is NaN or infinite
 * @internal
 */
export function trapNotFinite(
  addon: NativeAddon,
  name: string,
  call: (...args: unknown[]) => unknown,
): (...args: unknown[]) => unknown {
  if (UNCHECKED.has(name)) return call;
  const changed = CHANGED[name as FunctionName] ?? [];
  return (...args) => {
    const result = call(...args);
    if (SCALARS.has(name)) {
      if (!Number.isFinite(result)) throw new NotFiniteError(`${name}: ${result} in ${currentStep()}`);
      return result;
    }
    const results = Array.isArray(result) ? result : [result];
    const made = FIRST_RESULT_ONLY.has(name) ? results.slice(0, 1) : results;
    const touched = [...made, ...changed.flatMap((position) => args[position])].filter(isHandle);
    for (const handle of touched) {
      const problem = describeProblem(addon, handle);
      if (problem === null) continue;
      for (const unused of results.filter(isHandle)) if (!args.includes(unused)) addon.free(unused);
      throw new NotFiniteError(`${name}: ${problem} in ${currentStep()}`);
    }
    return result;
  };
}

function isHandle(value: unknown): value is Handle {
  return typeof value === 'number';
}

function currentStep(): string {
  return `training step ${stepsTaken + 1} (${CHECK_FINITE_VARIABLE} is on)`;
}

/** The first NaN or infinity of a tensor of floats and where it is, or null when there is none. */
function describeProblem(addon: NativeAddon, handle: Handle): string | null {
  const dtype = addon.dtypeOf(handle);
  // f64 is a norm or a weight, a few elements, which the native check does not take.
  if (dtype === DTYPES.f32 ? addon.isFinite([handle]) : dtype !== DTYPES.f64) return null;
  const elements = addon.read(handle);
  const at = elements.findIndex((element) => !Number.isFinite(element));
  if (at === -1) return null;
  const others = elements.filter((element) => !Number.isFinite(element)).length - 1;
  const more = others > 0 ? `, and ${others} more,` : '';
  return `${elements[at]} at element ${at}${more} of ${formatShape(addon.shapeOf(handle))}`;
}
