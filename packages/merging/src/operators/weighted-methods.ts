import { merge, type Tensor } from '@agentforge/tensor';
import { byColumns, byRows } from './by-rows.js';
import type { MergeMethod, MergeOperands } from './method.js';
import { flagOf, numberOf, numbersOf, WEIGHT } from './settings.js';

/** Merges that are weighted sums, with weights that are given or come from angles between the models. */
export const WEIGHTED_METHODS: readonly MergeMethod[] = [
  {
    name: 'linear',
    title: 'Linear',
    summary: 'Weighted mean',
    source: 'https://arxiv.org/abs/2203.05482',
    base: 'member',
    models: [1, Number.POSITIVE_INFINITY],
    isRandom: false,
    copiesLone: false,
    isEntrywise: true,
    parameters: [
      WEIGHT,
      {
        name: 'normalize',
        kind: 'boolean',
        scope: 'merge',
        default: true,
        summary: 'Divide by the sum of the weights',
      },
    ],
    merge: ({ models, settings, modelSettings }) =>
      merge.linear(models, numbersOf(modelSettings, 'weight'), { normalize: flagOf(settings, 'normalize') }),
  },
  {
    name: 'slerp',
    title: 'SLERP',
    summary: 'Along the great circle from the base to one other model',
    source: 'https://en.wikipedia.org/wiki/Slerp',
    base: 'required',
    models: [1, 1],
    isRandom: false,
    copiesLone: true,
    parameters: [{ name: 't', kind: 'number', scope: 'merge', summary: '0 is the base, 1 the other model' }],
    merge: ({ base, models: [other], settings }) =>
      merge.slerp(base as Tensor, other as Tensor, numberOf(settings, 't')),
  },
  {
    name: 'nuslerp',
    title: 'NuSLERP',
    summary: 'SLERP of two models by their weights, of their task vectors when there is a base',
    source: 'https://goddard.blog/posts/mergekit-0-1/',
    base: 'optional',
    models: [2, 2],
    isRandom: false,
    copiesLone: true,
    parameters: [
      WEIGHT,
      {
        name: 'nuslerp_flatten',
        kind: 'boolean',
        scope: 'merge',
        default: true,
        summary: 'Take a tensor as one vector; otherwise each row',
      },
      {
        name: 'nuslerp_row_wise',
        kind: 'boolean',
        scope: 'merge',
        default: false,
        summary: 'Without flattening: each column instead of each row',
      },
    ],
    merge: nuslerp,
  },
  {
    name: 'multislerp',
    title: 'Multi-SLERP',
    summary: 'Barycentre of any number of models on the sphere, around the base when there is one',
    source: 'https://goddard.blog/posts/multislerp-wow-what-a-cool-idea',
    base: 'optional',
    models: [1, Number.POSITIVE_INFINITY],
    isRandom: false,
    copiesLone: true,
    parameters: [
      WEIGHT,
      {
        name: 'normalize_weights',
        kind: 'boolean',
        scope: 'merge',
        default: true,
        summary: 'Divide the weights by their sum',
      },
      {
        name: 'eps',
        kind: 'number',
        scope: 'merge',
        default: 1e-8,
        min: 0,
        max: 1e-6,
        summary: 'No effect: norms that are 0 are told apart exactly here',
      },
    ],
    merge: ({ base, models, settings, modelSettings }) =>
      models.length === 1
        ? merge.passthrough(models[0] as Tensor)
        : merge.multislerp(models, numbersOf(modelSettings, 'weight'), {
            base,
            normalize: flagOf(settings, 'normalize_weights'),
          }),
  },
  {
    name: 'karcher',
    title: 'Karcher mean',
    summary: 'Riemannian mean of all models on the sphere',
    source: 'https://en.wikipedia.org/wiki/Karcher_mean',
    base: 'member',
    models: [1, Number.POSITIVE_INFINITY],
    isRandom: false,
    copiesLone: true,
    parameters: [
      {
        name: 'max_iter',
        kind: 'integer',
        scope: 'merge',
        default: 10,
        min: 0,
        max: 10_000,
        summary: 'Most iterations',
      },
      {
        name: 'tol',
        kind: 'number',
        scope: 'merge',
        default: 1e-5,
        min: 0,
        max: 1,
        summary: 'Step that ends the iteration',
      },
    ],
    merge: ({ models, settings }) =>
      merge.karcher(models, {
        maxIterations: numberOf(settings, 'max_iter'),
        tolerance: numberOf(settings, 'tol'),
      }),
  },
  {
    name: 'model_stock',
    title: 'Model Stock',
    summary: 'Between the base and the mean of two or more fine-tuned models, by their mean angle',
    source: 'https://arxiv.org/abs/2403.19522',
    base: 'required',
    models: [2, Number.POSITIVE_INFINITY],
    isRandom: false,
    copiesLone: true,
    parameters: [
      {
        name: 'filter_wise',
        kind: 'boolean',
        scope: 'merge',
        default: false,
        summary: 'An angle for each row instead of each tensor',
      },
    ],
    merge: ({ base, models, settings }) => {
      const stock = ([origin, ...others]: readonly Tensor[]) => merge.modelStock(origin as Tensor, others);
      const all = [base as Tensor, ...models];
      return flagOf(settings, 'filter_wise') ? byRows(all, stock) : stock(all);
    },
  },
];

function nuslerp({ base, models, settings, modelSettings }: MergeOperands): Tensor {
  const [first, second] = numbersOf(modelSettings, 'weight') as [number, number];
  const pair = (all: readonly Tensor[]) => {
    const [a, b, origin = null] = all as [Tensor, Tensor, Tensor?];
    return merge.nuslerp([a, b], [first, second], { base: origin });
  };
  const all = base === null ? models : [...models, base];
  if (flagOf(settings, 'nuslerp_flatten')) return pair(all);
  return flagOf(settings, 'nuslerp_row_wise') ? byColumns(all, pair) : byRows(all, pair);
}
