import { merge, Philox, scope, type Tensor, tensor } from '@agentforge/tensor';
import { MergeOperandError } from '../merging.errors.js';
import type { MergeMethod } from './method.js';
import { type MergeParameter, type ParameterValue, problemOf, type Settings } from './parameter.js';

/** Values that a recipe gives; what it leaves out takes its default. */
export type PartialSettings = Readonly<Record<string, ParameterValue | undefined>>;

/** One model's tensor. */
export interface MergeSource {
  /** f32, row-major; not modified. */
  readonly values: Float32Array;
  /** Values of the method's parameters with scope `model`. */
  readonly settings?: PartialSettings;
}

/** What to merge: one tensor of every model. */
export interface MergeRequest {
  /** Of every tensor. */
  readonly shape: readonly number[];
  /** Absent where the method has no base. Not among `models`. */
  readonly base?: Float32Array | undefined;
  /** The other models. */
  readonly models: readonly MergeSource[];
  /** Values of the parameters with scope `merge`. */
  readonly settings?: PartialSettings;
  /** Memory for the result, as long as the operands and none of them. Default: a new array. */
  readonly into?: Float32Array;
  /** Where random choices come from: model i draws from its stream `source-i`. Default: seed 0. */
  readonly stream?: Philox;
}

/** The same of tensors in the compute core. */
export interface LoadedRequest {
  /** f32, as those of the models. */
  readonly base?: Tensor | undefined;
  readonly models: readonly { readonly values: Tensor; readonly settings?: PartialSettings | undefined }[];
  readonly settings?: PartialSettings | undefined;
  readonly stream?: Philox | undefined;
}

/**
 * Merges one tensor. A tensor that only the base or one model has is copied, unless the method works on single ones.
 * @returns the result; the same request gives the same bytes, for any number of threads
 * @throws MergeOperandError  INVALID_ARGUMENT: no base, too few or too many models, lengths that differ, a setting that is
 *         missing, out of its bounds, or none of the method's
 */
export function mergeTensors(method: MergeMethod, request: MergeRequest): Float32Array {
  const { base, models, settings, stream } = request;
  const shape = request.shape.length === 0 ? [1] : request.shape;
  const elements = checkLengths(method, request);
  const into = request.into ?? new Float32Array(elements);
  let merged: Tensor | undefined;
  try {
    merged = scope(() =>
      mergeLoaded(method, {
        base: base && tensor(base, shape),
        models: models.map((model) => ({ values: tensor(model.values, shape), settings: model.settings })),
        settings,
        stream,
      }),
    );
    merged.readInto(into);
    return into;
  } finally {
    merged?.dispose();
  }
}

/**
 * {@link mergeTensors} on tensors that the compute core has already.
 * @returns a tensor of the caller's scope: a new one, or the only operand
 */
export function mergeLoaded(method: MergeMethod, request: LoadedRequest): Tensor {
  const { base, models, stream = new Philox(0) } = request;
  const lone = loneOf(method, request);
  const settings = completeSettings(method, 'merge', request.settings ?? {});
  const modelSettings = models.map((model) => completeSettings(method, 'model', model.settings ?? {}));
  if (lone) return lone;
  checkCounts(method, request);
  if (models.length === 0) return merge.passthrough(base as Tensor);
  const others = models.map(({ values }) => values);
  return method.merge({ base: base ?? null, models: others, settings, modelSettings, stream });
}

/** The only tensor there is, when the method copies such. */
function loneOf({ copiesLone }: MergeMethod, { base, models }: LoadedRequest): Tensor | undefined {
  if (!copiesLone) return undefined;
  if (models.length === 0) return base;
  return base === undefined && models.length === 1 ? models[0]?.values : undefined;
}

function checkCounts(
  { name, base: role, models: [least, most] }: MergeMethod,
  { base, models }: LoadedRequest,
): void {
  if (role === 'required' && base === undefined) throw new MergeOperandError(name, 'needs a base model');
  if (role === 'member' && base !== undefined) {
    throw new MergeOperandError(name, 'has no base: the base is one of the models');
  }
  if (models.length < least || models.length > most) {
    throw new MergeOperandError(name, `${models.length} models; ${countOf([least, most], role)}`);
  }
}

/** How many models a method takes, in words. */
export function countOf([least, most]: MergeMethod['models'], role: MergeMethod['base']): string {
  const besides = role === 'required' ? ' besides the base' : role === 'optional' ? ' besides a base' : '';
  const count = least === most ? `exactly ${least}` : `at least ${least}`;
  return `it takes ${count}${besides}`;
}

function checkLengths({ name }: MergeMethod, { shape, base, models, into }: MergeRequest): number {
  const length = shape.reduce((product, size) => product * size, 1);
  const check = (values: Float32Array, what: string) => {
    if (values.length !== length) {
      throw new MergeOperandError(name, `${what} has ${values.length} elements, its shape ${length}`);
    }
  };
  if (base) check(base, 'the base');
  if (into) check(into, 'the result');
  models.forEach(({ values }, i) => {
    check(values, `model ${i}`);
  });
  return length;
}

/** Given values and defaults of one scope. */
export function completeSettings(
  method: MergeMethod,
  scopeOf: MergeParameter['scope'],
  given: PartialSettings,
): Settings {
  const known = method.parameters.filter((parameter) => parameter.scope === scopeOf);
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && !known.some((parameter) => parameter.name === name)) {
      throw new MergeOperandError(method.name, `has no parameter ${name}`);
    }
  }
  const settings: Record<string, ParameterValue> = {};
  for (const parameter of known) {
    const value = given[parameter.name] ?? parameter.default;
    if (value === undefined)
      throw new MergeOperandError(method.name, `parameter ${parameter.name} is missing`);
    const problem = problemOf(parameter, value);
    if (problem !== null) throw new MergeOperandError(method.name, `parameter ${parameter.name} ${problem}`);
    settings[parameter.name] = value;
  }
  return settings;
}
