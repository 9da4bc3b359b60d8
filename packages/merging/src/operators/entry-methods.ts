import { merge, type Tensor } from '@agentforge/tensor';
import type { MergeMethod } from './method.js';
import type { MergeParameter } from './parameter.js';
import { INT8_MASK, numberOf } from './settings.js';

/** Movements up to this size count as none. */
const RAM_EPSILON: MergeParameter = {
  name: 'epsilon',
  kind: 'number',
  scope: 'merge',
  default: 1e-5,
  min: 0,
  summary: 'Entries that moved by no more than this did not move',
};

const RAM = 'https://arxiv.org/abs/2601.13572';

/** Merges that decide entry by entry, and the one that copies. */
export const ENTRY_METHODS: readonly MergeMethod[] = [
  {
    name: 'sce',
    title: 'SCE',
    summary: 'The entries that vary most between models, weighted by energy, minority signs erased',
    source: 'https://arxiv.org/abs/2408.07990',
    base: 'required',
    models: [1, Number.POSITIVE_INFINITY],
    isRandom: false,
    copiesLone: true,
    parameters: [
      {
        name: 'select_topk',
        kind: 'number',
        scope: 'merge',
        default: 1,
        min: 0,
        max: 1,
        summary: 'Share of the varying entries that stays',
      },
      INT8_MASK,
    ],
    merge: ({ base, models, settings }) =>
      merge.sce(base as Tensor, models, { selectTopk: numberOf(settings, 'select_topk') }),
  },
  {
    name: 'ram',
    title: 'Reinforced Agent Merging',
    summary: 'Entries that one model alone moved are added, shared ones averaged',
    source: RAM,
    base: 'required',
    models: [1, Number.POSITIVE_INFINITY],
    isRandom: false,
    copiesLone: true,
    isEntrywise: true,
    parameters: [RAM_EPSILON],
    merge: ({ base, models, settings }) =>
      merge.ram(base as Tensor, models, { epsilon: numberOf(settings, 'epsilon') }),
  },
  {
    name: 'ramplus_tl',
    title: 'Reinforced Agent Merging Plus (Tensor-Local)',
    summary: 'As ram; lone entries are amplified by how many a model shares',
    source: RAM,
    base: 'required',
    models: [1, Number.POSITIVE_INFINITY],
    isRandom: false,
    copiesLone: true,
    parameters: [
      RAM_EPSILON,
      {
        name: 'r',
        kind: 'number',
        scope: 'merge',
        default: 0.1,
        min: 0,
        summary: 'Strength of the amplification',
      },
      {
        name: 'alpha',
        kind: 'number',
        scope: 'merge',
        default: 0.2,
        min: 0,
        summary: 'Largest ratio that counts',
      },
    ],
    merge: ({ base, models, settings }) =>
      merge.ramPlus(base as Tensor, models, {
        epsilon: numberOf(settings, 'epsilon'),
        r: numberOf(settings, 'r'),
        alpha: numberOf(settings, 'alpha'),
      }),
  },
  {
    name: 'nearswap',
    title: 'NearSwap',
    summary: 'Entries of one other model where they are near those of the base',
    source: 'https://huggingface.co/alchemonaut/QuartetAnemoi-70B-t0.0001',
    base: 'required',
    models: [1, 1],
    isRandom: false,
    copiesLone: true,
    isEntrywise: true,
    parameters: [
      {
        name: 't',
        kind: 'number',
        scope: 'merge',
        min: 0,
        summary: 'Distance at which an entry is swapped whole',
      },
    ],
    merge: ({ base, models: [other], settings }) =>
      merge.nearswap(base as Tensor, other as Tensor, numberOf(settings, 't')),
  },
  {
    name: 'arcee_fusion',
    title: 'Arcee Fusion',
    summary: 'The entries of one other model that matter by their row, over the base',
    source: 'https://arcee.ai',
    base: 'required',
    models: [1, 1],
    isRandom: false,
    copiesLone: true,
    parameters: [],
    merge: ({ base, models: [other] }) => merge.arceeFusion(base as Tensor, other as Tensor),
  },
  {
    name: 'passthrough',
    title: 'Passthrough',
    summary: 'A copy, times a scale: what stacking layers is made of',
    source: 'https://arxiv.org/abs/2312.15166',
    base: 'member',
    models: [1, 1],
    isRandom: false,
    copiesLone: false,
    isEntrywise: true,
    parameters: [
      { name: 'scale', kind: 'number', scope: 'model', default: 1, summary: 'Factor of the tensor' },
    ],
    // As a weighted sum of one, so that the product is rounded once, like that of `linear` without normalisation.
    merge: ({ models, modelSettings: [own] }) =>
      merge.linear(models, [numberOf(own ?? { scale: 1 }, 'scale')], { normalize: false }),
  },
];
