import { ones, zeros } from '../create.js';
import { embedding } from '../ops/layout.js';
import { linear } from '../ops/matmul.js';
import { rmsNorm } from '../ops/rms-norm.js';
import { parameter, type Tensor } from '../tensor.js';
import { type Initializer, zerosInit } from './initializers.js';
import { Module } from './module.js';

/** How a Linear layer is made. */
export interface LinearOptions {
  /** Whether it has a bias, which starts at zero; or the bias of another layer, shared. Default false. */
  readonly bias?: boolean | Tensor;
  /** First values of the weight. Default zeros, for weights that are loaded next. */
  readonly init?: Initializer;
}

/** y = x · weightᵀ (+ bias); weight[O,I] as Hugging Face stores it. */
export class Linear extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;

  constructor(
    inFeatures: number,
    outFeatures: number,
    { bias = false, init = zerosInit }: LinearOptions = {},
  ) {
    super();
    this.weight = parameter(init([outFeatures, inFeatures]));
    this.bias = typeof bias === 'boolean' ? (bias ? parameter(zeros([outFeatures])) : null) : bias;
  }

  /** x[..., I] -> [..., O]. @throws ShapeError INVALID_ARGUMENT: another last axis */
  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}

/** A table of one row per token. */
export class Embedding extends Module {
  readonly weight: Tensor;

  constructor(count: number, width: number, { init = zerosInit }: { readonly init?: Initializer } = {}) {
    super();
    this.weight = parameter(init([count, width]));
  }

  /** ids i32[...] -> [..., C]. @throws ArgumentError INVALID_ARGUMENT: an id outside the table */
  forward(ids: Tensor): Tensor {
    return embedding(this.weight, ids);
  }
}

/** Root-mean-square normalisation with a trained gain, which starts at one. */
export class RMSNorm extends Module {
  readonly weight: Tensor;
  readonly eps: number;

  constructor(width: number, eps = 1e-5) {
    super();
    this.weight = parameter(ones([width]));
    this.eps = eps;
  }

  /** x[..., C], normalised over the last axis. @throws ShapeError INVALID_ARGUMENT: another last axis */
  forward(x: Tensor): Tensor {
    return rmsNorm(x, this.weight, this.eps);
  }
}
