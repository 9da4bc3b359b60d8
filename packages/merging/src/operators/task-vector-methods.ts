import { merge, type Tensor } from '@agentforge/tensor';
import type { MergeMethod, MergeOperands } from './method.js';
import type { MergeParameter, ParameterValue } from './parameter.js';
import { flagOf, INT8_MASK, numberOf, numbersOf, WEIGHT } from './settings.js';

type Rescale = 'none' | 'match_l1' | 'inverse_density';

const DENSITY: MergeParameter = {
  name: 'density',
  kind: 'number',
  scope: 'model',
  default: 1,
  min: 0,
  isMinExcluded: true,
  max: 1,
  summary: 'Share of the entries of a task vector that stays',
};

const GAMMA: MergeParameter = {
  name: 'gamma',
  kind: 'number',
  scope: 'model',
  default: 0.01,
  min: 0,
  max: 0.999_999,
  summary: 'Share of the largest entries that is dropped first',
};

const EPSILON: MergeParameter = {
  name: 'epsilon',
  kind: 'number',
  scope: 'model',
  default: 0.15,
  min: 0,
  max: 0.5,
  summary: 'Half the spread of the probabilities: 0 < density ± epsilon < 1, unless density is 1',
};

function mixing(normalize: boolean, rescale: ParameterValue): MergeParameter[] {
  return [
    INT8_MASK,
    {
      name: 'normalize',
      kind: 'boolean',
      scope: 'merge',
      default: normalize,
      summary: 'Divide each entry by the weights that took part in it',
    },
    {
      name: 'rescale',
      kind: 'rescale',
      scope: 'merge',
      default: rescale,
      summary: 'Multiply what stays: true keeps the sum of magnitudes, inverse_density the expectation',
    },
    {
      name: 'lambda',
      kind: 'number',
      scope: 'merge',
      default: 1,
      summary: 'Factor of the mixed task vector',
    },
  ];
}

function mixOptions({ settings, modelSettings }: MergeOperands) {
  const rescale = settings['rescale'];
  const code: Rescale = rescale === 'inverse_density' ? rescale : rescale === true ? 'match_l1' : 'none';
  return {
    weights: numbersOf(modelSettings, 'weight'),
    normalize: flagOf(settings, 'normalize'),
    lambda: numberOf(settings, 'lambda'),
    rescale: code,
  };
}

function sparseOptions(operands: MergeOperands) {
  const density = numbersOf(operands.modelSettings, 'density');
  return { ...mixOptions(operands), density, stream: operands.stream };
}

interface Variant {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly source: string;
  readonly normalize: boolean;
  readonly rescale: boolean;
  readonly extra?: MergeParameter;
  readonly isRandom?: boolean;
  readonly isEntrywise?: boolean;
  readonly merge: (base: Tensor, operands: MergeOperands) => Tensor;
}

function method({ normalize, rescale, extra, isRandom = false, merge: run, ...rest }: Variant): MergeMethod {
  return {
    ...rest,
    base: 'required',
    models: [1, Number.POSITIVE_INFINITY],
    parameters: [WEIGHT, DENSITY, ...(extra ? [extra] : []), ...mixing(normalize, rescale)],
    isRandom,
    copiesLone: true,
    merge: (operands) => run(operands.base as Tensor, operands),
  };
}

const epsilonOf = ({ modelSettings }: MergeOperands) => numbersOf(modelSettings, 'epsilon');
const gammaOf = ({ modelSettings }: MergeOperands) => numbersOf(modelSettings, 'gamma');

/** Merges of task vectors: what each model adds to the base, made sparse or not, mixed, and added again. */
export const TASK_VECTOR_METHODS: readonly MergeMethod[] = [
  method({
    name: 'task_arithmetic',
    title: 'Task Arithmetic',
    summary: 'Weighted sum of task vectors',
    source: 'https://arxiv.org/abs/2212.04089',
    normalize: false,
    rescale: false,
    isEntrywise: true,
    merge: (base, operands) => merge.taskArithmetic(base, operands.models, mixOptions(operands)),
  }),
  method({
    name: 'ties',
    title: 'TIES',
    summary: 'The largest entries of each task vector, with an elected sign',
    source: 'https://arxiv.org/abs/2306.01708',
    normalize: true,
    rescale: false,
    merge: (base, operands) => merge.ties(base, operands.models, sparseOptions(operands)),
  }),
  method({
    name: 'dare_linear',
    title: 'Linear DARE',
    summary: 'Entries of task vectors that are left over by chance, rescaled',
    source: 'https://arxiv.org/abs/2311.03099',
    normalize: false,
    rescale: true,
    isRandom: true,
    merge: (base, operands) => merge.dareLinear(base, operands.models, sparseOptions(operands)),
  }),
  method({
    name: 'dare_ties',
    title: 'DARE TIES',
    summary: 'As dare_linear, with an elected sign',
    source: 'https://arxiv.org/abs/2311.03099',
    normalize: false,
    rescale: true,
    isRandom: true,
    merge: (base, operands) => merge.dareTies(base, operands.models, sparseOptions(operands)),
  }),
  method({
    name: 'della',
    title: 'DELLA',
    summary: 'As dare_ties; larger entries of a row stay with higher probability',
    source: 'https://arxiv.org/abs/2406.11617',
    normalize: true,
    rescale: true,
    extra: EPSILON,
    isRandom: true,
    merge: (base, operands) =>
      merge.della(base, operands.models, { ...sparseOptions(operands), epsilon: epsilonOf(operands) }),
  }),
  method({
    name: 'della_linear',
    title: 'Linear DELLA',
    summary: 'As della, without signs',
    source: 'https://arxiv.org/abs/2406.11617',
    normalize: false,
    rescale: true,
    extra: EPSILON,
    isRandom: true,
    merge: (base, operands) =>
      merge.dellaLinear(base, operands.models, { ...sparseOptions(operands), epsilon: epsilonOf(operands) }),
  }),
  method({
    name: 'breadcrumbs',
    title: 'Model Breadcrumbs',
    summary: 'Task vectors without their largest and smallest entries',
    source: 'https://arxiv.org/abs/2312.06795',
    normalize: false,
    rescale: false,
    extra: GAMMA,
    merge: (base, operands) =>
      merge.breadcrumbs(base, operands.models, { ...sparseOptions(operands), gamma: gammaOf(operands) }),
  }),
  method({
    name: 'breadcrumbs_ties',
    title: 'Model Breadcrumbs with TIES',
    summary: 'As breadcrumbs, with an elected sign',
    source: 'https://arxiv.org/abs/2312.06795',
    normalize: false,
    rescale: false,
    extra: GAMMA,
    merge: (base, operands) =>
      merge.breadcrumbsTies(base, operands.models, { ...sparseOptions(operands), gamma: gammaOf(operands) }),
  }),
];
