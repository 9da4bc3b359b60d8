import { merge, Philox, type Tensor } from '@agentforge/tensor';
import type { Operation, Shapes } from './operation.js';
import { sizes } from './operation.js';
import type { Dense } from './reference/dense.js';
import * as reference from './reference/merge.js';

const THREE: Shapes = repeated(3, { regular: [4, 16], odd: [3, 7, 5], empty: [0, 5], big: [257, 259] });
const FOUR: Shapes = repeated(4, { regular: [4, 16], odd: [3, 7, 5], empty: [0, 5], big: [257, 259] });
const WEIGHTS = [0.5, 0.3, -0.2];
const MASKS = new Philox(7).stream('masks');

function repeated(count: number, shapes: Record<string, readonly number[]>): Shapes {
  const all = Object.entries(shapes).map(([size, shape]) => [
    size,
    Array.from({ length: count }, () => shape),
  ]);
  return Object.fromEntries(all);
}

/** A merge of three models. */
function models(
  op: string,
  run: (x: [Tensor, Tensor, Tensor]) => Tensor,
  plain: (x: [Dense, Dense, Dense]) => Dense,
  variant?: string,
  canBeEmpty = true,
): Operation {
  const { empty, ...filled } = THREE;
  return {
    op,
    ...(variant === undefined ? {} : { variant }),
    sizes: sizes(canBeEmpty && empty !== undefined ? { ...filled, empty } : filled),
    run: (...x) => run(x as [Tensor, Tensor, Tensor]),
    reference: (...x) => plain(x as [Dense, Dense, Dense]),
    gradients: [],
  };
}

/** A merge of three models into a base. */
function onBase(
  op: string,
  run: (base: Tensor, x: Tensor[]) => Tensor,
  plain: (base: Dense, x: Dense[]) => Dense,
  variant?: string,
  canBeEmpty = true,
): Operation {
  const { empty, ...filled } = FOUR;
  return {
    op,
    ...(variant === undefined ? {} : { variant }),
    sizes: sizes(canBeEmpty && empty !== undefined ? { ...filled, empty } : filled),
    run: (base, ...x) => run(base as Tensor, x),
    reference: (base, ...x) => plain(base as Dense, x),
    gradients: [],
  };
}

const all = {
  weights: WEIGHTS,
  density: 1,
  rescale: 'none',
  consensus: false,
  normalize: false,
  lambda: 1,
} as const;

/** Every merge, against its statement in double precision. */
export const MERGES: readonly Operation[] = [
  models(
    'merge.linear',
    (x) => merge.linear(x, WEIGHTS),
    (x) => reference.linear(x, WEIGHTS, true),
    'normalised',
  ),
  models(
    'merge.linear',
    (x) => merge.linear(x, WEIGHTS, { normalize: false }),
    (x) => reference.linear(x, WEIGHTS, false),
    'as given',
  ),
  models(
    'merge.slerp',
    ([a, b]) => merge.slerp(a, b, 0.3),
    ([a, b]) => reference.slerp(a, b, 0.3),
    undefined,
    false,
  ),
  models(
    'merge.nuslerp',
    ([a, b, base]) => merge.nuslerp([a, b], [1, 3], { base }),
    ([a, b, base]) => reference.nuslerp(a, b, base, 0.75),
    undefined,
    false,
  ),
  models(
    'merge.multislerp',
    (x) => merge.multislerp(x, [1, 2, 3]),
    (x) => reference.multislerp(x, [1, 2, 3]),
    undefined,
    false,
  ),
  models(
    'merge.karcher',
    (x) => merge.karcher(x),
    (x) => reference.karcher(x, 10),
    undefined,
    false,
  ),
  onBase(
    'merge.modelStock',
    (base, x) => merge.modelStock(base, x),
    (base, x) => reference.modelStock(base, x),
    undefined,
    false,
  ),
  onBase(
    'merge.taskArithmetic',
    (base, x) => merge.taskArithmetic(base, x, { weights: WEIGHTS, lambda: 0.7 }),
    (base, x) => reference.taskVectors(base, x, { ...all, keep: reference.keepAll, lambda: 0.7 }),
  ),
  ...[0.25, 0.6, 1].map((density) =>
    onBase(
      'merge.ties',
      (base, x) => merge.ties(base, x, { weights: WEIGHTS, density }),
      (base, x) =>
        reference.taskVectors(base, x, {
          ...all,
          consensus: true,
          normalize: true,
          keep: reference.keepLargest(density),
        }),
      `density ${density}`,
    ),
  ),
  ...(['match_l1', 'inverse_density', 'none'] as const).map((rescale) =>
    onBase(
      'merge.dareLinear',
      (base, x) => merge.dareLinear(base, x, { weights: WEIGHTS, density: 0.4, rescale, stream: MASKS }),
      (base, x) =>
        reference.taskVectors(base, x, {
          ...all,
          density: 0.4,
          rescale,
          keep: reference.keepRandomly(0.4, MASKS),
        }),
      rescale,
      rescale !== 'match_l1',
    ),
  ),
  onBase(
    'merge.dareTies',
    (base, x) => merge.dareTies(base, x, { weights: WEIGHTS, density: 0.4, stream: MASKS, lambda: 0.5 }),
    (base, x) =>
      reference.taskVectors(base, x, {
        ...all,
        density: 0.4,
        rescale: 'match_l1',
        consensus: true,
        lambda: 0.5,
        keep: reference.keepRandomly(0.4, MASKS),
      }),
    undefined,
    false,
  ),
  onBase(
    'merge.della',
    (base, x) => merge.della(base, x, { weights: WEIGHTS, density: 0.5, epsilon: 0.2, stream: MASKS }),
    (base, x) =>
      reference.taskVectors(base, x, {
        ...all,
        density: 0.5,
        rescale: 'match_l1',
        consensus: true,
        normalize: true,
        keep: reference.keepByRank(0.5, 0.2, MASKS),
      }),
    undefined,
    false,
  ),
  onBase(
    'merge.dellaLinear',
    (base, x) =>
      merge.dellaLinear(base, x, { weights: WEIGHTS, density: 0.5, rescale: 'none', stream: MASKS }),
    (base, x) =>
      reference.taskVectors(base, x, { ...all, density: 0.5, keep: reference.keepByRank(0.5, 0.15, MASKS) }),
  ),
  onBase(
    'merge.breadcrumbs',
    (base, x) => merge.breadcrumbs(base, x, { weights: WEIGHTS, density: 0.5, gamma: 0.1 }),
    (base, x) => reference.taskVectors(base, x, { ...all, keep: reference.keepLargest(0.5, 0.1) }),
  ),
  onBase(
    'merge.breadcrumbsTies',
    (base, x) => merge.breadcrumbsTies(base, x, { weights: WEIGHTS, density: 0.95, gamma: 0.1 }),
    (base, x) =>
      reference.taskVectors(base, x, { ...all, consensus: true, keep: reference.keepLargest(0.95, 0.1) }),
  ),
  ...[1, 0.3].map((selectTopk) =>
    onBase(
      'merge.sce',
      (base, x) => merge.sce(base, x, { selectTopk }),
      (base, x) => reference.sce(base, x, selectTopk),
      `topk ${selectTopk}`,
    ),
  ),
  onBase(
    'merge.ram',
    (base, x) => merge.ram(base, x, { epsilon: 1 }),
    (base, x) => reference.ram(base, x, 1, 0, 0),
  ),
  onBase(
    'merge.ramPlus',
    (base, x) => merge.ramPlus(base, x, { epsilon: 1, alpha: 5 }),
    (base, x) => reference.ram(base, x, 1, 0.1, 5),
  ),
  models(
    'merge.nearswap',
    ([a, b]) => merge.nearswap(a, b, 0.5),
    ([a, b]) => reference.nearswap(a, b, 0.5),
  ),
  models(
    'merge.arceeFusion',
    ([a, b]) => merge.arceeFusion(a, b),
    ([a, b]) => reference.arceeFusion(a, b),
  ),
  models(
    'merge.passthrough',
    ([a]) => merge.passthrough(a, 0.5),
    ([a]) => reference.linear([a], [0.5], false),
  ),
];
